//! A pod's id is its libp2p peer id: the two types, turned into each other.

use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};
use protocol::PodId;

/// The peer id of a pod; none if its bytes are no point of the curve, so that nobody can hold its key.
pub fn peer_of(pod: &PodId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(pod.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The pod that a peer is; none if its key is not ed25519.
pub fn pod_of(peer: &PeerId) -> Option<PodId> {
    PodId::from_multihash(&peer.to_bytes())
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn the_text_of_a_pod_is_that_of_its_peer() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let pod = pod_of(&peer).unwrap();
        assert_eq!(pod.to_string(), peer.to_string());
        assert_eq!(peer_of(&pod), Some(peer));
    }
}
