"""Those who are compared: what each can do, and in which environment it lives."""

from benchmarks.peers.base import Called, Chosen, Fitted, Peer, PeerInfo
from benchmarks.peers.registry import OURS, PEERS, load, peers_for

__all__ = ["OURS", "PEERS", "Called", "Chosen", "Fitted", "Peer", "PeerInfo", "load", "peers_for"]
