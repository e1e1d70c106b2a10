//! Columns of `session_records`: what the customer's own database believed, change by change.

use super::columns::{Int, Text, Time, columns};

columns! {
    /// One change of one row (`domain/state-records.md`).
    SessionRecordRow, SessionRecordColumns {
        /// table the row is from, `db.schema.table` as far as known
        source_table: Text,
        /// the row's primary key as text
        row_key: Text,
        /// insert, update, delete, snapshot
        change: Text,
        /// App ID
        app_id: Text,
        /// recording session id, lower case
        sid: Text,
        /// channel name
        cname: Text,
        /// the recorder's uid as text
        uid: Text,
        /// the ticket
        resource_id: Text,
        /// Agora's vendor number
        vendor: Int,
        /// slug of the vendor
        vendor_name: Text,
        /// bucket
        bucket: Text,
        /// region as the customer wrote it
        region: Text,
        /// path before the file name
        prefix: Text,
        /// where the customer expects the file, without user info and query
        url: Text,
        /// the customer's own status
        status: Text,
        /// since when the database believed this
        recorded_at: Time,
    }
}
