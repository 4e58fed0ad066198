package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"flag"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p"
	mplex "github.com/libp2p/go-libp2p-mplex"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
)

// agentVersion is what identify and /api/v0/id say: Kubo's form, so that an edge that tells backends
// apart by it takes the same path.
const agentVersion = "kubo/0.43.0-test"

// muxersFlag is the flag that says which stream muxers a host offers: yamux as Kubo does, mplex as js-ipfs
// does, or both.
func muxersFlag(flags *flag.FlagSet) *string {
	securityFlags(flags)
	udpFlag(flags)
	return flags.String("muxers", "yamux", "stream muxers, comma-separated: yamux, mplex")
}

// newHost is a host on tcp and ws (self-signed wss accepted) without the limits that keep many peers of
// one address out: everything in a test comes from the loopback. Without listen addresses it only dials;
// without a key it is a new peer.
func newHost(muxers string, key crypto.PrivKey, listen ...string) (host.Host, error) {
	options := []libp2p.Option{
		libp2p.UserAgent(agentVersion),
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Transport(websocket.New, websocket.WithTLSClientConfig(&tls.Config{InsecureSkipVerify: true})),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ListenAddrStrings(listen...),
	}
	security, err := securityOptions()
	if err != nil {
		return nil, err
	}
	options = append(options, security...)
	options = append(options, udpOptions()...)
	for name := range strings.SplitSeq(muxers, ",") {
		switch name {
		case "yamux":
			options = append(options, libp2p.Muxer(yamux.ID, yamux.DefaultTransport))
		case "mplex":
			options = append(options, libp2p.Muxer(mplex.ID, mplex.DefaultTransport))
		default:
			return nil, fmt.Errorf("-muxers: %q is neither yamux nor mplex", name)
		}
	}
	if len(listen) == 0 {
		options = append(options, libp2p.NoListenAddrs)
	}
	if key != nil {
		options = append(options, libp2p.Identity(key))
	}
	return libp2p.New(options...)
}

// seededKey is the Ed25519 key of a seed: the same seed comes back as the same peer.
func seededKey(seed string) (crypto.PrivKey, error) {
	hash := sha256.Sum256([]byte("kitsune test peer " + seed))
	return crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(hash[:]))
}

// dial connects to the peer at a multiaddr that ends in /p2p/….
func dial(ctx context.Context, from host.Host, address string) (peer.ID, error) {
	target, err := peer.AddrInfoFromString(address)
	if err != nil {
		return "", fmt.Errorf("%q is no multiaddr with a peer ID: %w", address, err)
	}
	return target.ID, from.Connect(ctx, *target)
}

// peerAddresses are the listen addresses of a host with its /p2p/… part.
func peerAddresses(of host.Host) []string {
	addresses := []string{}
	for _, address := range of.Addrs() {
		addresses = append(addresses, fmt.Sprintf("%s/p2p/%s", address, of.ID()))
	}
	return addresses
}
