//! Where clients come in: an address and port, or a Unix socket.

mod claim;

use claim::Claim;
use std::fmt;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The longest path of a Unix socket in bytes: `sun_path` has 108 on Linux and 104 elsewhere, one of them for the end.
const PATH_BYTES_MAX: usize = 103;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port; port 0 picks one.
    Net(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who may connect to a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SocketMode {
    /// The user that the gateway runs as (0600).
    #[default]
    Owner,
    /// Its group too (0660).
    Group,
    /// Everyone on this machine (0666).
    Everyone,
}

impl SocketMode {
    const fn bits(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
            Self::Everyone => 0o666,
        }
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whence {
    /// An address.
    Ip(IpAddr),
    /// A Unix socket. A proxy may stand there for anyone.
    Unix,
}

impl Whence {
    /// Whether it is a caller on this machine, as far as can be seen.
    pub(super) fn is_loopback(self) -> bool {
        match self {
            Self::Ip(address) => address.to_canonical().is_loopback(),
            Self::Unix => false,
        }
    }
}

impl fmt::Display for Whence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {0}; is the port taken?")]
    Net(SocketAddr, #[source] io::Error),
    /// The path is longer than systems take.
    #[error("cannot listen on unix:{}: a path of a socket may have {PATH_BYTES_MAX} bytes, that of the folder beside it included", .0.display())]
    PathTooLong(PathBuf),
    /// Something else stands there.
    #[error("cannot listen on unix:{}: there is a file that is no socket", .0.display())]
    NoSocket(PathBuf),
    /// Another process listens there.
    #[error("cannot listen on unix:{}: another process listens there", .0.display())]
    Taken(PathBuf),
    /// The file cannot be made.
    #[error("cannot listen on unix:{}", .0.display())]
    Unix(PathBuf, #[source] io::Error),
}

/// What accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    /// The right to a socket's path, for as long as it is listened on.
    _claim: Option<Arc<Claim>>,
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Net(TcpListener),
    Unix(UnixListener),
}

/// A connection that was accepted.
#[derive(Debug)]
pub enum Accepted {
    /// Over TCP.
    Net(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Accepted {
    /// Tells the client something before it is hung up on, as far as the system takes it at once.
    pub(super) fn tell(&self, answer: &[u8]) {
        let _ = match self {
            Self::Net(stream) => stream.try_write(answer),
            Self::Unix(stream) => stream.try_write(answer),
        };
    }

    /// Moves it from the runtime that accepted it to the one that this is called on.
    pub(super) fn adopt(self) -> io::Result<Self> {
        Ok(match self {
            Self::Net(stream) => Self::Net(TcpStream::from_std(stream.into_std()?)?),
            Self::Unix(stream) => Self::Unix(UnixStream::from_std(stream.into_std()?)?),
        })
    }
}

impl Listener {
    /// Listens on `address`. A socket that nobody listens on any more is replaced; the new one has its mode before
    /// anyone can connect to it.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(address: &Address, mode: SocketMode) -> Result<Self, ListenError> {
        match address {
            Address::Net(asked) => {
                let failed = |cause| ListenError::Net(*asked, cause);
                let socket = TcpListener::bind(asked).await.map_err(failed)?;
                let address = Address::Net(socket.local_addr().map_err(failed)?);
                Ok(Self {
                    socket: Socket::Net(socket),
                    address,
                    _claim: None,
                    file: None,
                })
            }
            Address::Unix(path) => {
                let inner = inner(path)?;
                // Of two that find a socket without a listener at once, one may replace it.
                let claim = Claim::of(path).map_err(|cause| ListenError::Unix(path.clone(), cause))?;
                let claim = Arc::new(claim.ok_or_else(|| ListenError::Taken(path.clone()))?);
                clear(path).await?;
                let socket = bind(path, &inner, mode)?;
                Ok(Self {
                    socket: Socket::Unix(socket),
                    address: address.clone(),
                    file: SocketFile::at(path, &claim),
                    _claim: Some(claim),
                })
            }
        }
    }

    /// The address, with the port that was picked.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The file of its socket, which goes with the listener otherwise.
    pub const fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// Where there is none to be had, as when descriptors have run out.
    pub async fn accept(&self) -> io::Result<(Accepted, Whence)> {
        match &self.socket {
            Socket::Net(socket) => {
                let (stream, peer) = socket.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok((Accepted::Net(stream), Whence::Ip(peer.ip())))
            }
            Socket::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Accepted::Unix(stream), Whence::Unix))
            }
        }
    }
}

/// The file of a socket, which goes with this value unless another has taken its place, or is about to.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
    /// While it is listened on, nobody else has the right to its path.
    claim: Weak<Claim>,
}

impl SocketFile {
    fn at(path: &Path, claim: &Arc<Claim>) -> Option<Self> {
        let (path, claim) = (path.to_owned(), Arc::downgrade(claim));
        let identity = identity(&path)?;
        Some(Self {
            path,
            identity,
            claim,
        })
    }

    /// The right to take it away.
    fn claim(&self) -> Option<Arc<Claim>> {
        let anew = || Claim::of(&self.path).ok().flatten().map(Arc::new);
        self.claim.upgrade().or_else(anew)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let claim = self.claim();
        if claim.is_some() && identity(&self.path) == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device, inode, and when it came to be what it is: inodes are given out again.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> Option<Identity> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

/// Makes sure that nobody listens at `path`, and that nothing of anyone's is lost by listening there.
async fn clear(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(ListenError::Unix(path.to_owned(), cause)),
        Ok(found) if !found.file_type().is_socket() => Err(ListenError::NoSocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => Err(ListenError::Taken(path.to_owned())),
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(cause) => Err(ListenError::Unix(path.to_owned(), cause)),
        },
    }
}

/// Where a socket is made before it is moved to its place: in a folder beside it.
fn inner(path: &Path) -> Result<PathBuf, ListenError> {
    let mut name = [0_u8; 4];
    getrandom::fill(&mut name)
        .map_err(|cause| ListenError::Unix(path.to_owned(), io::Error::other(cause)))?;
    // Two processes may have one id, each in a container of its own, and this folder together.
    let folder = path.with_file_name(format!(".cg{:08x}", u32::from_be_bytes(name)));
    let inner = folder.join("s");
    if inner.as_os_str().len().max(path.as_os_str().len()) > PATH_BYTES_MAX {
        return Err(ListenError::PathTooLong(path.to_owned()));
    }
    Ok(inner)
}

/// Listens in a folder that nobody else may enter, and moves the socket to its place once it has its mode.
fn bind(path: &Path, inner: &Path, mode: SocketMode) -> Result<UnixListener, ListenError> {
    let failed = |cause| ListenError::Unix(path.to_owned(), cause);
    let folder = inner.parent().unwrap_or(inner);
    DirBuilder::new().mode(0o700).create(folder).map_err(failed)?;
    let bound = UnixListener::bind(inner).and_then(|socket| {
        fs::set_permissions(inner, Permissions::from_mode(mode.bits()))?;
        fs::rename(inner, path)?;
        Ok(socket)
    });
    let _ = fs::remove_file(inner);
    let _ = fs::remove_dir(folder);
    bound.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net;
    use std::sync::Barrier;

    /// What comes of so many who listen on one path at the same moment, each as a process of its own would.
    fn at_once(count: usize, path: &Path) -> Vec<Result<Listener, ListenError>> {
        let (ready, address) = (Barrier::new(count), Address::Unix(path.to_owned()));
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..count)
                .map(|_| {
                    scope.spawn(|| {
                        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                        let runtime = runtime.unwrap();
                        ready.wait();
                        let bound = runtime.block_on(Listener::bind(&address, SocketMode::Owner));
                        // Nobody lets go before all have tried.
                        ready.wait();
                        bound
                    })
                })
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    #[test]
    fn of_many_who_find_a_socket_without_a_listener_one_replaces_it() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("run.sock");
        for round in 0..20 {
            drop(net::UnixListener::bind(&path).unwrap());
            let all = at_once(8, &path);
            let refused = |one: &&Result<_, _>| matches!(one, Err(ListenError::Taken(_)));
            assert_eq!(
                all.iter().filter(|one| one.is_ok()).count(),
                1,
                "{round}: {all:?}"
            );
            assert_eq!(all.iter().filter(refused).count(), 7, "{round}: {all:?}");
            drop(all);
            let left: Vec<_> = fs::read_dir(room.path()).unwrap().flatten().collect();
            assert!(left.is_empty(), "{round}: {left:?}");
        }
    }

    #[test]
    fn a_claim_is_held_by_one_and_leaves_nothing() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("run.sock");
        let first = Claim::of(&path).unwrap();
        assert!(first.is_some());
        assert!(Claim::of(&path).unwrap().is_none());
        drop(first);
        assert!(Claim::of(&path).unwrap().is_some());
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
        // Where somebody has taken its file away, it leaves that of whoever came then.
        let lock = room.path().join(".run.sock.lock");
        let before = Claim::of(&path).unwrap();
        fs::remove_file(&lock).unwrap();
        let after = Claim::of(&path).unwrap();
        assert!(after.is_some());
        drop(before);
        assert!(lock.exists());
        drop(after);
        assert!(!lock.exists());
        // What leads elsewhere is not followed.
        let other = room.path().join("other");
        std::os::unix::fs::symlink(&other, room.path().join(".run.sock.lock")).unwrap();
        assert!(Claim::of(&path).is_err());
        assert!(!other.exists());
    }
}
