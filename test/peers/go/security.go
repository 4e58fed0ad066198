package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// secured says how the hosts of this process secure their connections: one process plays one part.
var secured struct {
	protocols string
	swarmKey  string
}

// securityFlags are the flags that fill it.
func securityFlags(flags *flag.FlagSet) {
	flags.StringVar(&secured.protocols, "security", "tls,noise", "security protocols in order: tls, noise")
	flags.StringVar(&secured.swarmKey, "swarm-key", "", "swarm.key file of a private network, none if empty")
}

// securityOptions are the options of a host that follow from it.
func securityOptions() ([]libp2p.Option, error) {
	options := []libp2p.Option{}
	for name := range strings.SplitSeq(secured.protocols, ",") {
		switch name {
		case "tls":
			options = append(options, libp2p.Security(libp2ptls.ID, libp2ptls.New))
		case "noise":
			options = append(options, libp2p.Security(noise.ID, noise.New))
		default:
			return nil, fmt.Errorf("-security: %q is neither tls nor noise", name)
		}
	}
	if secured.swarmKey == "" {
		return options, nil
	}
	file, err := os.Open(secured.swarmKey)
	if err != nil {
		return nil, fmt.Errorf("-swarm-key: %w", err)
	}
	defer file.Close()
	key, err := pnet.DecodeV1PSK(file)
	if err != nil {
		return nil, fmt.Errorf("-swarm-key: %w", err)
	}
	return append(options, libp2p.PrivateNetwork(key)), nil
}
