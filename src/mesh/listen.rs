//! Where a pod listens that was not told: on the local address by which it reaches the NATS server, since the others reach that server too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use backplane::bus::nats::NatsOptions;
use tokio::net::{UdpSocket, lookup_host};

/// The local address by which a server is reached; none if there is no way to it, or the name is not known.
pub async fn towards(server: &NatsOptions) -> Option<IpAddr> {
    for address in server.shown().split(", ") {
        let found = lookup_host(address).await.map(Iterator::collect::<Vec<_>>).unwrap_or_default();
        for address in found {
            if let Some(local) = local(address).await {
                return Some(local);
            }
        }
    }
    None
}

/// Nothing is sent: the kernel only says which way it would take.
async fn local(to: SocketAddr) -> Option<IpAddr> {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(to).await.ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_on_loopback_is_reached_by_loopback() {
        let towards = |url: &'static str| async move { towards(&NatsOptions::new(url)).await };
        assert_eq!(towards("nats://127.0.0.1:4222").await, Some([127, 0, 0, 1].into()));
        assert_eq!(towards("nats://[::1]:4222").await.map(|ip| ip.is_loopback()), Some(true));
    }
}
