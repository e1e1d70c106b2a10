//! Columns of `upload_status`: what the recording service says of the upload of each file, as its support exports it.

use super::columns::{Int, Text, columns};

columns! {
    /// One state of one file.
    UploadStatusRow, UploadStatusColumns {
        /// recording session id, lower case
        sid: Text,
        /// file as written, with its path or without
        file: Text,
        /// last segment of it
        file_name: Text,
        /// Agora's vendor number
        vendor: Int,
        /// slug of the vendor
        vendor_name: Text,
        /// bucket or container that it was uploaded to
        bucket: Text,
        /// uploaded, backuped, or any other word of the service's, lower case
        status: Text,
    }
}
