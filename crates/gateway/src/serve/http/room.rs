//! The room for bodies of requests: how large one may be, and all that are held together.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a body may have without being counted: on each of the connections there may be, that comes to 256 MiB.
const SMALL_BYTES: usize = 64 * 1024;
/// Bytes of larger bodies held at once, of all requests together.
const HELD_BYTES_MAX: usize = 128 << 20;

/// The room for large bodies. Each has its part until nothing refers to it any more.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(HELD_BYTES_MAX)))
    }
}

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is larger than a message may be.
    TooLarge,
    /// Others have taken the room there is.
    NoRoom,
    /// It broke off.
    Broken,
}

impl Room {
    /// The whole of a body of up to `bytes_max` bytes. It waits for the client alone: where there is no room for more,
    /// the body is given up.
    pub(super) async fn take<B>(&self, mut body: B, bytes_max: usize) -> Result<Bytes, NotTaken>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        let mut part = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| NotTaken::Broken)?.into_data() else {
                continue;
            };
            let length = first.len().max(whole.len()).saturating_add(data.len());
            if length > bytes_max {
                return Err(NotTaken::TooLarge);
            }
            self.grow(&mut part, length)?;
            if first.is_empty() && whole.is_empty() {
                first = data;
                continue;
            }
            if whole.is_empty() {
                whole.extend_from_slice(&first);
                first = Bytes::new();
            }
            whole.extend_from_slice(&data);
        }
        let bytes = if whole.is_empty() { first } else { whole.freeze() };
        Ok(match part {
            None => bytes,
            Some(part) => Bytes::from_owner(Held { bytes, _part: part }),
        })
    }

    /// Takes room for `length` bytes, of which some may be taken already.
    fn grow(&self, part: &mut Option<OwnedSemaphorePermit>, length: usize) -> Result<(), NotTaken> {
        if length <= SMALL_BYTES {
            return Ok(());
        }
        let taken = part.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(length.saturating_sub(taken)).map_err(|_| NotTaken::NoRoom)?;
        let more = Arc::clone(&self.0)
            .try_acquire_many_owned(more)
            .map_err(|_| NotTaken::NoRoom)?;
        match part {
            Some(part) => part.merge(more),
            None => *part = Some(more),
        }
        Ok(())
    }
}

/// A body, and its part of the room.
struct Held {
    bytes: Bytes,
    _part: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;

    fn room(bytes: usize) -> Room {
        Room(Arc::new(Semaphore::new(bytes)))
    }

    fn in_parts(parts: Vec<Vec<u8>>) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames = parts.into_iter().map(|part| Ok(Frame::data(Bytes::from(part))));
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_is_put_together_of_its_parts() {
        let room = room(0);
        for parts in [
            vec![],
            vec!["ab"],
            vec!["", "ab"],
            vec!["a", "", "b"],
            vec!["a", "b", ""],
        ] {
            let expected = parts.concat();
            let parts = parts.into_iter().map(|part| part.as_bytes().to_vec()).collect();
            assert_eq!(room.take(in_parts(parts), 2).await.unwrap(), expected);
        }
        let three = in_parts(vec![b"ab".to_vec(), b"c".to_vec()]);
        assert_eq!(room.take(three, 2).await, Err(NotTaken::TooLarge));
    }

    #[tokio::test]
    async fn large_bodies_share_the_room_there_is_and_small_ones_need_none() {
        let large = || vec![7_u8; SMALL_BYTES];
        let room = room(3 * SMALL_BYTES);
        let two = || in_parts(vec![large(), large()]);
        let held = room.take(two(), usize::MAX).await.unwrap();
        assert_eq!(held.len(), 2 * SMALL_BYTES);
        assert_eq!(room.take(two(), usize::MAX).await, Err(NotTaken::NoRoom));
        assert!(
            room.take(Full::new(Bytes::from(large())), usize::MAX)
                .await
                .is_ok()
        );
        // Its room is free again once the last that refers to it has gone.
        let slice = held.slice(..1);
        drop(held);
        assert_eq!(room.take(two(), usize::MAX).await, Err(NotTaken::NoRoom));
        drop(slice);
        assert!(room.take(two(), usize::MAX).await.is_ok());
        // One that was given up has given back what it had.
        assert_eq!(room.take(two(), SMALL_BYTES).await, Err(NotTaken::TooLarge));
        assert_eq!(room.0.available_permits(), 3 * SMALL_BYTES);
    }
}
