package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// keptOpen is how many wants stay open on a connection: Kubo keeps 1024 of a peer and drops the rest.
const keptOpen = 512

// want is a node that asks everybody for what nobody has and expects no answer, as a backend does on behalf of
// its own users: want-haves in messages of -batch, cancelled when keptOpen newer ones are. With -peer it dials
// one peer; else it listens, and begins once -connections are there.
func want(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("want", flag.ContinueOnError)
	target := flags.String("peer", "", "multiaddr to dial, with /p2p/…; none: listen")
	connections := flags.Int("connections", 1, "connections to wait for when listening")
	batch := flags.Int("batch", 32, "wants per message")
	seconds := flags.Float64("seconds", 5, "how long")
	muxers := muxersFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	listen := []string{}
	if *target == "" {
		listen = append(listen, "/ip4/127.0.0.1/tcp/0")
	}
	node, err := newHost(*muxers, nil, listen...)
	if err != nil {
		return err
	}
	defer node.Close()
	messages := atomic.Int64{}
	node.SetStreamHandler("/ipfs/bitswap/1.2.0", func(stream network.Stream) {
		n, _ := io.Copy(io.Discard, stream)
		messages.Add(n)
		_ = stream.Close()
	})
	peers, err := audience(ctx, node, *target, *connections)
	if err != nil {
		return err
	}
	emit(map[string]any{"event": "connected", "connections": len(peers)})

	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*seconds*float64(time.Second)))
	defer cancel()
	sent, failures := atomic.Int64{}, make(chan error, len(peers))
	var asking sync.WaitGroup
	for number, id := range peers {
		asking.Go(func() {
			if err := ask(ctx, node, id, number, *batch, &sent); err != nil && ctx.Err() == nil {
				failures <- err
			}
		})
	}
	finished := make(chan struct{})
	go func() { asking.Wait(); close(finished) }()
	progress := time.NewTicker(250 * time.Millisecond)
	defer progress.Stop()
	for running := true; running; {
		select {
		case <-progress.C:
			emit(map[string]any{"event": "progress", "seconds": round(time.Since(started).Seconds()), "wants": sent.Load()})
		case <-finished:
			running = false
		}
	}
	line := map[string]any{"event": "result", "wants": sent.Load(), "seconds": round(time.Since(started).Seconds()),
		"answeredBytes": messages.Load(), "firstError": nil}
	select {
	case failure := <-failures:
		line["firstError"] = failure.Error()
	default:
	}
	for name, value := range processUse() {
		line[name] = value
	}
	emit(line)
	return nil
}

// audience returns who is to be asked, once they are connected and known.
func audience(ctx context.Context, node host.Host, target string, connections int) ([]peer.ID, error) {
	if target != "" {
		id, err := dial(ctx, node, target)
		emit(map[string]any{"event": "ready", "addrs": []string{}})
		return []peer.ID{id}, err
	}
	emit(map[string]any{"event": "ready", "addrs": peerAddresses(node)})
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		known := []peer.ID{}
		for _, id := range node.Network().Peers() {
			if protocols, _ := node.Peerstore().SupportsProtocols(id, "/ipfs/bitswap/1.2.0"); len(protocols) > 0 {
				known = append(known, id)
			}
		}
		if len(known) >= connections {
			return known, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d connections came", len(known), connections)
		case <-look.C:
		}
	}
}

// ask writes wants to one peer as fast as it takes them.
func ask(ctx context.Context, node host.Host, id peer.ID, number, batch int, sent *atomic.Int64) error {
	stream, err := node.NewStream(ctx, id, "/ipfs/bitswap/1.2.0")
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	if until, timed := ctx.Deadline(); timed {
		_ = stream.SetWriteDeadline(until)
	}
	var frame []byte
	for next := 0; ctx.Err() == nil; next += batch {
		entries := []wantEntry{}
		for i := next; i < next+batch; i++ {
			if i >= keptOpen {
				entries = append(entries, wantEntry{cid: absentCid(number, i-keptOpen), cancel: true})
			}
			entries = append(entries, wantEntry{cid: absentCid(number, i), have: true})
		}
		frame = appendWantlist(frame[:0], entries, next == 0)
		if _, err := stream.Write(frame); err != nil {
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				return nil // the time is over
			}
			return err
		}
		sent.Add(int64(batch))
	}
	return nil
}
