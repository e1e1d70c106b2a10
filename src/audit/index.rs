//! What an index file lists.

use m3u8_rs::Playlist;

/// Returns the names of the slices that a playlist names, without path and query; none where the bytes are no playlist.
pub(super) fn slices(bytes: &[u8]) -> Vec<String> {
    let uris = match m3u8_rs::parse_playlist_res(bytes) {
        Ok(Playlist::MediaPlaylist(list)) => list.segments.into_iter().map(|it| it.uri).collect(),
        Ok(Playlist::MasterPlaylist(list)) => list.variants.into_iter().map(|it| it.uri).collect(),
        Err(_) => Vec::<String>::new(),
    };
    let names = uris.iter().filter_map(|uri| {
        let path = uri.split(['?', '#']).next()?;
        let name = path.rsplit('/').next()?;
        (!name.is_empty()).then(|| name.to_string())
    });
    names.collect()
}
