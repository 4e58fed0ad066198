package main

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// fate is what last became of a block of the run at one client.
type fate uint8

const (
	neverWanted fate = iota
	outstanding
	received
	givenUp
)

// counts is what became of the wants of one client.
type counts struct {
	blocks, bytes                           int64
	wanted, lost, late, wrong, duplicates   int64
	dontHave, haves                         int64
	missingAsked, missingDontHave           int64
	errors, disconnects, messages, unwanted int64
}

// loadClient is one raw Bitswap client: it keeps `window` wants outstanding on its connection.
//
// pending holds the wants sent and not answered, at most window of them; missing the absent ones, as many
// again. send is the only writer to the peer; incoming streams are read by one goroutine each.
type loadClient struct {
	o      *loadOptions
	all    *targets
	node   host.Host
	peer   peer.ID
	order  []uint32
	number int

	mu         sync.Mutex
	next       int
	pending    map[uint32]time.Time
	missing    map[string]time.Time
	fate       []fate // by block index
	cancels    []uint32
	dues       []time.Time // wants of an open loop that are due and not sent
	closing    bool        // want nothing more
	lastAnswer time.Time
	count      counts
	latencies  []uint32 // µs, of blocks and of DONT_HAVEs for missing ones
	firstError string

	wake   chan struct{} // there may be room for more wants
	change chan struct{} // the last want may be settled
	done   chan struct{}
}

func newLoadClient(o *loadOptions, all *targets, node host.Host, to peer.ID, order []uint32, number int) *loadClient {
	c := &loadClient{
		o: o, all: all, node: node, peer: to, order: order, number: number,
		pending: map[uint32]time.Time{}, missing: map[string]time.Time{}, fate: make([]fate, o.blocks),
		wake: make(chan struct{}, 1), change: make(chan struct{}, 1), done: make(chan struct{}),
	}
	node.Network().Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		select {
		case <-c.done:
		default:
			c.count.disconnects++
		}
	}})
	for _, id := range []protocol.ID{"/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0", "/ipfs/bitswap/1.0.0", "/ipfs/bitswap"} {
		// A client of an old version offers that version and older ones only.
		if id == o.protocol || id < o.protocol {
			node.SetStreamHandler(id, c.receive)
		}
	}
	return c
}

// run wants everything in order and returns when each want is settled or the time is over.
func (c *loadClient) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.send(ctx)
	sweep := time.NewTicker(100 * time.Millisecond)
	defer sweep.Stop()
	poke(c.wake)
	for !c.settled() {
		select {
		case <-ctx.Done():
			close(c.done)
			return
		case <-c.change:
		case <-sweep.C:
			c.sweep(time.Now())
		}
	}
	close(c.done)
}

// poke wakes whoever waits for a channel of capacity 1.
func poke(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

func (c *loadClient) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > 0 || len(c.missing) > 0 {
		return false
	}
	return c.closing || !c.o.loop && c.next >= len(c.order) && !c.moreMissing()
}

// close makes the client want nothing more; it ends when all that is outstanding is settled.
func (c *loadClient) close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	poke(c.change)
}

// moreMissing says whether absent blocks are to be asked for.
func (c *loadClient) moreMissing() bool {
	return c.o.missing < 0 || c.count.missingAsked < int64(c.o.missing)
}

// sweep gives up on wants that are too old.
func (c *loadClient) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for index, since := range c.pending {
		if now.Sub(since) > c.o.lostAfter {
			delete(c.pending, index)
			c.fate[index] = givenUp
			c.count.lost++
		}
	}
	for id, since := range c.missing {
		if now.Sub(since) > c.o.lostAfter {
			delete(c.missing, id)
		}
	}
	poke(c.wake)
}

// fill takes the next wants that fit into the window, and the cancels that are due.
func (c *loadClient) fill() []wantEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := []wantEntry{}
	now := time.Now()
	for _, index := range c.cancels {
		entries = append(entries, wantEntry{cid: c.all.list[index].cid, cancel: true})
	}
	c.cancels = c.cancels[:0]
	if c.closing {
		return entries
	}
	for ; c.moreMissing() && len(c.missing) < c.o.window; c.count.missingAsked++ {
		id := absentCid(c.number, int(c.count.missingAsked))
		c.missing[string(id)] = now
		entries = append(entries, wantEntry{cid: id, sendDontHave: c.o.sendDontHave})
	}
	for len(c.pending) < c.o.window && (c.o.rate == 0 || len(c.dues) > 0) {
		if c.next >= len(c.order) && c.o.loop && len(c.pending) < len(c.order) {
			c.next = 0
		}
		if c.next >= len(c.order) {
			break
		}
		index := c.order[c.next]
		c.next++
		if _, twice := c.pending[index]; twice {
			continue
		}
		c.pending[index] = now
		if c.o.rate > 0 {
			// Latency counts from when the want was due: a slow answer must not hide behind a late question.
			c.pending[index], c.dues = c.dues[0], c.dues[1:]
		}
		c.fate[index] = outstanding
		c.count.wanted++
		entries = append(entries, wantEntry{cid: c.all.list[index].cid, sendDontHave: c.o.sendDontHave})
	}
	return entries
}

// send writes wants whenever there is room for more, until the context ends.
func (c *loadClient) send(ctx context.Context) {
	var stream network.Stream
	full := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		entries := c.fill()
		if len(entries) == 0 {
			continue
		}
		frame := appendWantlist(nil, entries, full)
		full = false
		var err error
		if stream == nil {
			stream, err = c.node.NewStream(network.WithNoDial(ctx, "one connection per client"), c.peer, c.o.protocol)
		}
		if err == nil {
			_, err = stream.Write(frame)
		}
		if err != nil && ctx.Err() == nil {
			c.failed(err)
		}
		if stream != nil && (err != nil || c.o.stream == "per-message") {
			closing := stream
			stream = nil
			go func() { _ = closing.Close() }()
		}
	}
}

func (c *loadClient) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.errors++
	if c.firstError == "" {
		c.firstError = err.Error()
	}
}
