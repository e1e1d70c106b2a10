//! Columns of `storage_events`: one row per object that appeared or went. The object's key is the common
//! column `key`, which dead letters use for the message's key: the two never meet in one row.

use super::columns::{Int, Long, Text, columns};

columns! {
    /// One object event (`domain/storage-events.md`). The object's key travels beside this row.
    StorageEventRow, StorageEventColumns {
        /// who sent the notification: s3, minio, ceph, oss, cos, obs, azblob, gcs, ..., neutral
        provider: Text,
        /// Agora's vendor number
        vendor: Int,
        /// slug of the vendor
        vendor_name: Text,
        /// account of the bucket's owner
        account: Text,
        /// bucket or container
        bucket: Text,
        /// the vendor's own region code
        region_code: Text,
        /// created, removed, other (not a finished object)
        kind: Text,
        /// the provider's name of the event
        event_name: Text,
        /// bytes
        size: Long,
        /// entity tag as given
        etag: Text,
        /// object version
        version: Text,
        /// order of the writes of one key, left-padded so that text order is write order
        sequencer: Text,
        /// path before the file name, no slashes at the ends; null without one
        prefix: Text,
        /// last segment of the key
        file_name: Text,
        /// recording session id parsed from the name, lower case
        sid: Text,
        /// channel name parsed from the name
        cname: Text,
        /// uid of the recorded user parsed from the name
        recorded_uid: Text,
        /// m3u8, ts, mp4, webm, mpd, jpg, mp3, m4a, aac
        file_type: Text,
        /// n of a `bak<n>_` prefix
        failover_index: Int,
    }
}
