package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
)

// visits sums what came of clients that came and went.
type visits struct {
	mu        sync.Mutex
	total     loadClient
	connects  []uint32 // µs from dialling to identified
	failures  int
	lastError string
}

// churn has clients come with a new identity, want their blocks and go, `-clients` at a time.
func churn(ctx context.Context, o *loadOptions, all *targets) error {
	sum := &visits{}
	emit(map[string]any{"event": "ready", "clients": o.clients})
	started := time.Now()
	var running sync.WaitGroup
	for worker := range o.clients {
		running.Go(func() {
			for round := 0; time.Since(started) < o.seconds && ctx.Err() == nil; round++ {
				visit(ctx, o, all, sum, round*o.clients+worker)
			}
		})
	}
	running.Wait()
	line := resultLine([]*loadClient{&sum.total}, time.Since(started))
	slices.Sort(sum.connects)
	line["visits"] = len(sum.connects)
	line["visitsFailed"] = sum.failures
	line["connectP50ms"] = quantile(sum.connects, 0.5)
	line["connectP99ms"] = quantile(sum.connects, 0.99)
	if sum.lastError != "" {
		line["firstError"] = sum.lastError
	}
	emit(line)
	return nil
}

func visit(ctx context.Context, o *loadOptions, all *targets, sum *visits, number int) {
	var node host.Host
	node, err := newHost(o.muxers, nil)
	if err == nil {
		defer node.Close()
		begun := time.Now()
		peer, failure := dial(ctx, node, o.peer)
		if err = failure; err == nil {
			sum.connected(time.Since(begun))
			if o.count > 0 {
				client := newLoadClient(o, all, node, peer, o.indices(number), number)
				client.run(ctx)
				sum.add(client)
			}
			return
		}
	}
	sum.mu.Lock()
	defer sum.mu.Unlock()
	sum.failures++
	sum.lastError = err.Error()
}

func (v *visits) connected(took time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.connects = append(v.connects, micros(took))
}

// add takes over the counts only: a visit leaves no client behind.
func (v *visits) add(client *loadClient) {
	v.mu.Lock()
	defer v.mu.Unlock()
	client.mu.Lock()
	defer client.mu.Unlock()
	v.total.count.add(client.count)
	v.total.latencies = append(v.total.latencies, client.latencies...)
	if v.total.firstError == "" {
		v.total.firstError = client.firstError
	}
}
