package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// loadOptions say what every client of a load run does.
type loadOptions struct {
	peer, muxers                 string
	clients, window              int
	blocks, from, count, missing int
	size                         int
	seed                         uint32
	stream                       string
	protocol                     protocol.ID
	seconds, lostAfter, hold     time.Duration
	shared, shuffle, verify      bool
	loop, slow, sendDontHave     bool
	settle, churn                bool
	rate                         float64
	cancels, idle                int
}

func parseLoad(args []string) (*loadOptions, error) {
	o := &loadOptions{}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&o.peer, "peer", "", "multiaddr to dial, with /p2p/…")
	flags.IntVar(&o.clients, "clients", 1, "clients, each with its own identity and connection")
	flags.IntVar(&o.window, "wants", 32, "outstanding wants per client")
	flags.IntVar(&o.blocks, "blocks", 100, "seeded blocks that the other side holds, from index 0")
	flags.IntVar(&o.size, "size", 4096, "bytes of each")
	seed := flags.Uint("block-seed", 1, "seed of their content")
	flags.IntVar(&o.from, "from", 0, "index of the first block to want")
	flags.IntVar(&o.count, "count", 0, "blocks per client; 0 = an equal share, or all with -shared")
	flags.BoolVar(&o.shared, "shared", false, "all clients want the same blocks instead of one slice each")
	flags.BoolVar(&o.shuffle, "shuffle", false, "each client wants its blocks in an order of its own")
	flags.IntVar(&o.missing, "missing", 0, "blocks per client that nobody has, wanted first; -1 = without end")
	flags.BoolVar(&o.sendDontHave, "send-dont-have", false, "ask for DONT_HAVE")
	flags.StringVar(&o.stream, "stream", "one", "one = one long stream for all wants, per-message = js-ipfs")
	id := flags.String("protocol", "/ipfs/bitswap/1.2.0", "Bitswap protocol to speak")
	flags.IntVar(&o.cancels, "cancels", 0, "cancels sent per block received (js-ipfs: 2)")
	flags.DurationVar(&o.lostAfter, "lost-after", 20*time.Second, "a want without its block for so long is lost")
	seconds := flags.Float64("seconds", 0, "end after this time; 0 = when all is done")
	flags.BoolVar(&o.loop, "loop", false, "start over when done, until -seconds")
	flags.BoolVar(&o.settle, "settle", false, "after -seconds want nothing more, and wait for what is outstanding")
	flags.Float64Var(&o.rate, "rate", 0, "open loop: so many wants per second of all clients together, at random times")
	flags.BoolVar(&o.churn, "churn", false, "clients come, want their blocks and go, again and again for -seconds")
	flags.BoolVar(&o.verify, "verify", true, "hash every block; else match by the seed and index in it")
	flags.BoolVar(&o.slow, "slow", false, "never read what the other side sends")
	flags.IntVar(&o.idle, "idle", 0, "only open this many connections and hold them")
	hold := flags.Float64("hold", 0, "seconds to hold them; 0 = until stdin closes")
	muxers := muxersFlag(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	o.seed, o.protocol, o.muxers = uint32(*seed), protocol.ID(*id), *muxers
	o.seconds = time.Duration(*seconds * float64(time.Second))
	o.hold = time.Duration(*hold * float64(time.Second))
	if o.count == 0 {
		o.count = o.blocks / max(o.clients, 1)
		if o.shared {
			o.count = o.blocks - o.from
		}
	}
	switch {
	case o.stream != "one" && o.stream != "per-message":
		return nil, fmt.Errorf("-stream %q is neither one nor per-message", o.stream)
	case (o.loop || o.churn || o.settle || o.missing < 0) && o.seconds == 0:
		return nil, fmt.Errorf("-loop, -churn, -settle and -missing -1 never end without -seconds")
	case o.churn && (o.loop || o.rate > 0 || o.missing != 0):
		return nil, fmt.Errorf("-churn goes with a fixed number of blocks per visit: not with -loop, -rate, -missing")
	case !o.verify && o.size < 8:
		return nil, fmt.Errorf("-verify=false needs blocks of 8 bytes or more")
	}
	return o, nil
}

// indices are the blocks that client number i wants.
func (o *loadOptions) indices(i int) []uint32 {
	first := o.from
	if !o.shared {
		first += i * o.count
	}
	list := make([]uint32, o.count)
	for k := range list {
		list[k] = uint32((first + k) % o.blocks)
	}
	if o.shuffle {
		rand.New(rand.NewSource(int64(i))).Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
	}
	return list
}

// load runs raw Bitswap clients against one peer and counts what became of every want.
func load(ctx context.Context, args []string) error {
	o, err := parseLoad(args)
	if err != nil {
		return err
	}
	if o.idle > 0 {
		return idle(ctx, o)
	}
	targets := newTargets(o)
	if o.churn {
		return churn(ctx, o, targets)
	}
	hosts, target, err := connectAll(ctx, o, o.clients)
	defer closeAll(hosts)
	if err != nil {
		return err
	}
	clients := []*loadClient{}
	for i, node := range hosts {
		clients = append(clients, newLoadClient(o, targets, node, target, o.indices(i), i))
	}
	emit(map[string]any{"event": "ready", "clients": len(clients), "peerId": target.String()})

	started := time.Now()
	pacing, stopPacing := context.WithCancel(ctx)
	defer stopPacing()
	switch {
	case o.settle:
		closing := time.AfterFunc(o.seconds, func() {
			stopPacing()
			for _, client := range clients {
				client.close()
			}
		})
		defer closing.Stop()
	case o.seconds > 0:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.seconds)
		defer cancel()
	}
	if o.rate > 0 {
		go pace(pacing, clients, o.rate)
	}
	var running sync.WaitGroup
	for _, client := range clients {
		running.Go(func() { client.run(ctx) })
	}
	finished := make(chan struct{})
	go func() { running.Wait(); close(finished) }()
	progress := time.NewTicker(250 * time.Millisecond)
	defer progress.Stop()
	for running := true; running; {
		select {
		case <-progress.C:
			emit(progressLine(clients, time.Since(started)))
		case <-finished:
			running = false
		}
	}
	passed := time.Since(started)
	if o.settle {
		passed = untilLastAnswer(clients, started)
	}
	emit(resultLine(clients, passed))
	return nil
}

// connectAll makes hosts and connects them, eight at a time.
func connectAll(ctx context.Context, o *loadOptions, count int) ([]host.Host, peer.ID, error) {
	target, err := peer.AddrInfoFromString(o.peer)
	if err != nil {
		return nil, "", fmt.Errorf("-peer: %w", err)
	}
	hosts := make([]host.Host, count)
	failures := make(chan error, count)
	slots := make(chan struct{}, 8)
	for i := range hosts {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			node, err := newHost(o.muxers, nil)
			if err == nil {
				hosts[i] = node
				_, err = dial(ctx, node, o.peer)
			}
			failures <- err
		}()
	}
	for range hosts {
		if failure := <-failures; failure != nil {
			err = failure
		}
	}
	return hosts, target.ID, err
}

func closeAll(hosts []host.Host) {
	var closing sync.WaitGroup
	for _, node := range hosts {
		if node != nil {
			closing.Go(func() { _ = node.Close() })
		}
	}
	closing.Wait()
}

// idle holds connections that do nothing.
func idle(ctx context.Context, o *loadOptions) error {
	started := time.Now()
	hosts, target, err := connectAll(ctx, o, o.idle)
	defer closeAll(hosts)
	if err != nil {
		return err
	}
	emit(map[string]any{"event": "ready", "clients": len(hosts), "peerId": target.String(),
		"connectMs": time.Since(started).Milliseconds()})
	var end <-chan time.Time
	if o.hold > 0 {
		end = time.After(o.hold)
	}
	select {
	case <-ctx.Done():
	case <-end:
	}
	held := 0
	for _, node := range hosts {
		if node.Network().Connectedness(target) == network.Connected {
			held++
		}
	}
	emit(map[string]any{"event": "result", "connected": held, "seconds": time.Since(started).Seconds()})
	return nil
}
