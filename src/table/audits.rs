//! Columns of `audits`: what was found when somebody looked into a store for the files of a session. The object's key is
//! the common column `key`, as in `storage_events`.

use super::columns::{Int, Long, Text, Time, columns};

columns! {
    /// One file that was looked for, or one store in which nothing could be looked for.
    AuditRow, AuditColumns {
        /// the run that looked; its rows share it
        run: Text,
        /// name of the store in the configuration
        store: Text,
        /// Agora's vendor number
        vendor: Int,
        /// slug of the vendor
        vendor_name: Text,
        /// bucket or container
        bucket: Text,
        /// found; missing: looked for and not there; denied: the store does not let us look; failed: it gave no answer
        result: Text,
        /// what promised the file: webhook, answer, upload_status, index; null where it was only found
        promised_by: Text,
        /// what the store answered, where the result is denied or failed
        answer: Text,
        /// bytes
        size: Long,
        /// entity tag as given
        etag: Text,
        /// when the store says that the object was written
        written_at: Time,
        /// path before the file name, no slashes at the ends; null without one
        prefix: Text,
        /// last segment of the key
        file_name: Text,
        /// recording session id that was looked for, lower case
        sid: Text,
        /// channel name parsed from the name, else as asked for
        cname: Text,
        /// uid of the recorded user parsed from the name
        recorded_uid: Text,
        /// m3u8, ts, mp4, webm, mpd, jpg, mp3, m4a, aac
        file_type: Text,
        /// n of a `bak<n>_` prefix
        failover_index: Int,
    }
}
