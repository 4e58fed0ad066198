package main

import (
	"flag"

	"github.com/libp2p/go-libp2p"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	webrtc "github.com/libp2p/go-libp2p/p2p/transport/webrtc"
)

// overUDP says whether the hosts of this process dial /udp/… as well: QUIC and WebRTC-direct. Each host has sockets of
// its own for that, which a load of thousands over TCP does without.
var overUDP bool

// udpFlag is the flag that says so.
func udpFlag(flags *flag.FlagSet) {
	flags.BoolVar(&overUDP, "udp", false, "dial over QUIC and WebRTC-direct too")
}

// udpOptions are the options of a host that follow from it.
func udpOptions() []libp2p.Option {
	if !overUDP {
		return nil
	}
	return []libp2p.Option{libp2p.Transport(quic.NewTransport), libp2p.Transport(webrtc.New)}
}
