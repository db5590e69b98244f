//! What the kernel knows of a socket, asked without a byte of traffic.

use std::ffi::c_int;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use diag_snapshot::{Protocol, SocketState};

/// What is known of one descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketFacts {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) state: Option<SocketState>,
    pub(crate) local: Option<String>,
    pub(crate) peer: Option<String>,
    /// Microseconds since something was sent by either side, of a connection.
    pub(crate) idle_us: Option<u64>,
    pub(crate) unread_bytes: Option<u64>,
    pub(crate) unsent_bytes: Option<u64>,
}

/// Asks for the facts of a descriptor: seven system calls, 3 µs. If it was closed meanwhile, and its number is another's,
/// that one's are told.
pub(crate) fn socket_facts(descriptor: u32) -> SocketFacts {
    let Some(protocol) = protocol_of(descriptor) else {
        return SocketFacts { protocol: Some(Protocol::Other), ..SocketFacts::default() };
    };
    let descriptor = descriptor.cast_signed();
    let tcp = if protocol == Protocol::Tcp { TcpInfo::of(descriptor) } else { None };
    let state = tcp.as_ref().map(TcpInfo::state);
    let is_connection =
        state.is_some_and(|state| !matches!(state, SocketState::Listen | SocketState::Closed));
    // A listener counts what was not accepted instead of bytes, and a datagram socket the next one alone.
    let bytes = |request| if is_connection { queued(descriptor, request) } else { None };
    SocketFacts {
        protocol: Some(protocol),
        state,
        local: name(descriptor, libc::getsockname),
        peer: name(descriptor, libc::getpeername),
        idle_us: tcp.as_ref().filter(|_| is_connection).map(TcpInfo::idle_us),
        unread_bytes: bytes(libc::FIONREAD),
        unsent_bytes: bytes(libc::TIOCOUTQ),
    }
}

/// The same for who wants no more: three system calls, 1 µs. `None` of what is no socket.
pub(crate) fn socket_state(descriptor: u32) -> Option<(Protocol, Option<SocketState>)> {
    let protocol = protocol_of(descriptor)?;
    let is_tcp = protocol == Protocol::Tcp;
    let tcp = if is_tcp { TcpInfo::of(descriptor.cast_signed()) } else { None };
    Some((protocol, tcp.map(|tcp| tcp.state())))
}

fn protocol_of(descriptor: u32) -> Option<Protocol> {
    let descriptor = descriptor.cast_signed();
    let family = option(descriptor, libc::SOL_SOCKET, libc::SO_DOMAIN)?;
    Some(match (family, option(descriptor, libc::SOL_SOCKET, libc::SO_TYPE)) {
        (libc::AF_UNIX, _) => Protocol::Unix,
        (libc::AF_INET | libc::AF_INET6, Some(libc::SOCK_STREAM)) => Protocol::Tcp,
        (libc::AF_INET | libc::AF_INET6, Some(libc::SOCK_DGRAM)) => Protocol::Udp,
        _ => Protocol::Other,
    })
}

/// A number that the socket is set to; `None` of what is no socket.
fn option(descriptor: c_int, level: c_int, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` and `length` are valid places of that length, and asking changes nothing.
    let asked =
        unsafe { libc::getsockopt(descriptor, level, name, (&raw mut value).cast(), &raw mut length) };
    (asked == 0).then_some(value)
}

/// Bytes that wait in one direction.
fn queued(descriptor: c_int, request: impl TryInto<libc::Ioctl>) -> Option<u64> {
    let mut bytes: c_int = 0;
    // SAFETY: both requests fill one number and change nothing.
    let asked = unsafe { libc::ioctl(descriptor, request.try_into().ok()?, &raw mut bytes) };
    (asked == 0).then_some(u64::try_from(bytes).ok()?)
}

/// The beginning of `struct tcp_info` of `linux/tcp.h`, which only grows at its end.
struct TcpInfo([u8; 60]);

impl TcpInfo {
    const STATE: usize = 0;
    const LAST_SENT_MS: usize = 44;
    const LAST_RECEIVED_MS: usize = 52;

    fn of(descriptor: c_int) -> Option<Self> {
        let mut info = [0_u8; 60];
        let mut length = info.len() as libc::socklen_t;
        // SAFETY: `info` and `length` are valid places of that length, and asking changes nothing.
        let asked = unsafe {
            libc::getsockopt(
                descriptor,
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (asked == 0 && length as usize == info.len()).then_some(TcpInfo(info))
    }

    fn state(&self) -> SocketState {
        // As `enum` in `net/tcp_states.h` numbers them.
        match self.0[Self::STATE] {
            1 => SocketState::Established,
            2 | 3 | 12 => SocketState::SynSent,
            4..=6 | 9 | 11 => SocketState::Closing,
            7 => SocketState::Closed,
            8 => SocketState::CloseWait,
            10 => SocketState::Listen,
            _ => SocketState::Unknown,
        }
    }

    fn idle_us(&self) -> u64 {
        let ms = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&self.0[at..at + 4]);
            u64::from(u32::from_ne_bytes(word))
        };
        ms(Self::LAST_SENT_MS).min(ms(Self::LAST_RECEIVED_MS)) * 1_000
    }
}

type Ask = unsafe extern "C" fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int;

/// One of the two names of a socket; `None` if it has none, as a Unix socket that was not bound.
fn name(descriptor: c_int, ask: Ask) -> Option<String> {
    // SAFETY: integers and arrays of them.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&storage) as libc::socklen_t;
    // SAFETY: `storage` is a valid place of that length for the call to fill.
    if unsafe { ask(descriptor, (&raw mut storage).cast(), &raw mut length) } != 0 {
        return None;
    }
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel has filled in an address of this family, which is no larger.
            let address: libc::sockaddr_in = unsafe { std::mem::transmute_copy(&storage) };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::from((ip, u16::from_be(address.sin_port))).to_string())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address: libc::sockaddr_in6 = unsafe { std::mem::transmute_copy(&storage) };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some(SocketAddr::from((ip, u16::from_be(address.sin6_port))).to_string())
        }
        libc::AF_UNIX => {
            // SAFETY: as above.
            let address: libc::sockaddr_un = unsafe { std::mem::transmute_copy(&storage) };
            let path_length =
                (length as usize).checked_sub(std::mem::offset_of!(libc::sockaddr_un, sun_path))?;
            let bytes: Vec<u8> =
                address.sun_path.iter().take(path_length).map(|&byte| byte.cast_unsigned()).collect();
            unix_name(&bytes)
        }
        _ => None,
    }
}

/// A path, or with an `@` in front a name without a file, as `ss` and `/proc/net/unix` write it.
fn unix_name(bytes: &[u8]) -> Option<String> {
    match bytes {
        [] => None,
        [0] => None,
        [0, name @ ..] => Some(format!("@{}", String::from_utf8_lossy(name))),
        path => {
            let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
            (end > 0).then(|| String::from_utf8_lossy(&path[..end]).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::thread;
    use std::time::Duration;

    use diag_test_support::eventually::eventually;

    use super::*;

    fn facts(socket: &impl AsRawFd) -> SocketFacts {
        socket_facts(socket.as_raw_fd().cast_unsigned())
    }

    #[test]
    fn a_connection_is_told_from_both_sides() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(own).expect("it listens");
        let (mut server, from) = listener.accept().expect("it was called");
        let of_listener = facts(&listener);
        assert_eq!(of_listener.state, Some(SocketState::Listen));
        assert_eq!((of_listener.local, of_listener.peer), (Some(own.to_string()), None));
        assert_eq!((of_listener.unread_bytes, of_listener.idle_us), (None, None));
        let of_server = facts(&server);
        assert_eq!(
            (of_server.protocol, of_server.state),
            (Some(Protocol::Tcp), Some(SocketState::Established))
        );
        assert_eq!((of_server.local, of_server.peer), (Some(own.to_string()), Some(from.to_string())));

        client.write_all(&[7; 300]).expect("there is room");
        let mut first = [0; 100];
        server.read_exact(&mut first).expect("it was sent");
        assert_eq!(facts(&server).unread_bytes, Some(200));
        thread::sleep(Duration::from_millis(30));
        let idle_us = facts(&server).idle_us.expect("a connection");
        assert!((20_000..5_000_000).contains(&idle_us), "{idle_us}");

        drop(client);
        eventually(Duration::from_secs(10), "its end has come", || match facts(&server).state {
            Some(SocketState::CloseWait) => Ok(()),
            state => Err(state),
        });
    }

    #[test]
    fn what_the_other_side_does_not_take_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        let (mut server, _) = listener.accept().expect("it was called");
        server.set_nonblocking(true).expect("it can be set");
        while server.write(&[1; 1 << 16]).is_ok() {}
        assert!(facts(&server).unsent_bytes > Some(1 << 16), "{:?}", facts(&server));
        assert!(facts(&client).unread_bytes > Some(1 << 16));
    }

    #[test]
    fn other_sockets_have_what_they_have() {
        let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0")).expect("a port");
        let of_udp = facts(&udp);
        assert_eq!((of_udp.protocol, of_udp.state, of_udp.peer), (Some(Protocol::Udp), None, None));
        assert_eq!(of_udp.local, udp.local_addr().ok().map(|address| address.to_string()));

        let (one, _other) = UnixDatagram::pair().expect("a pair");
        let of_unix = facts(&one);
        assert_eq!((of_unix.protocol, of_unix.local), (Some(Protocol::Unix), None));

        let path = std::env::temp_dir().join(format!("diag-sockets-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a path");
        assert_eq!(facts(&listener).local, path.to_str().map(str::to_owned));
        std::fs::remove_file(&path).expect("it is there");

        let file = std::fs::File::open("/proc/self/exe").expect("it can be read");
        let of_file = SocketFacts { protocol: Some(Protocol::Other), ..SocketFacts::default() };
        assert_eq!(facts(&file), of_file);
        assert_eq!(socket_facts(u32::MAX / 2), of_file, "not open");
    }

    #[test]
    fn names_of_unix_sockets_are_written_as_the_kernel_writes_them() {
        assert_eq!(unix_name(b"/run/a\0\0\0").as_deref(), Some("/run/a"));
        assert_eq!(unix_name(b"\0bus").as_deref(), Some("@bus"));
        assert_eq!([unix_name(b""), unix_name(b"\0")], [None, None]);
        assert_eq!(unix_name(b"\xFF").as_deref(), Some("\u{FFFD}"));
    }
}
