package main

import (
	"context"
	"math/rand"
	"runtime"
	"time"
)

// pace makes wants due at random times, `rate` a second of all clients together, until the context ends.
// The times are the same in every run, so that two peers are measured under the same load.
func pace(ctx context.Context, clients []*loadClient, rate float64) {
	runtime.LockOSThread()
	chance := rand.New(rand.NewSource(1))
	due := time.Now()
	for i := 0; ; i++ {
		due = due.Add(time.Duration(chance.ExpFloat64() / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			preciseSleep(wait)
		}
		if ctx.Err() != nil {
			return
		}
		client := clients[i%len(clients)]
		client.mu.Lock()
		client.dues = append(client.dues, due)
		client.mu.Unlock()
		poke(client.wake)
	}
}
