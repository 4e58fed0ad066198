package main

import (
	"math"
	"slices"
	"time"
)

// add sums the counts of clients.
func (c *counts) add(other counts) {
	c.blocks += other.blocks
	c.bytes += other.bytes
	c.wanted += other.wanted
	c.lost += other.lost
	c.late += other.late
	c.wrong += other.wrong
	c.duplicates += other.duplicates
	c.unwanted += other.unwanted
	c.dontHave += other.dontHave
	c.haves += other.haves
	c.missingAsked += other.missingAsked
	c.missingDontHave += other.missingDontHave
	c.errors += other.errors
	c.disconnects += other.disconnects
	c.messages += other.messages
}

// progressLine is told a few times a second, so that a test can act in the middle of a run.
func progressLine(clients []*loadClient, passed time.Duration) map[string]any {
	sum := counts{}
	for _, client := range clients {
		client.mu.Lock()
		sum.add(client.count)
		client.mu.Unlock()
	}
	return map[string]any{"event": "progress", "seconds": round(passed.Seconds()), "blocks": sum.blocks,
		"wanted": sum.wanted, "lost": sum.lost, "errors": sum.errors}
}

// resultLine is the outcome of a run. p50ms and p99ms are null where no block came.
func resultLine(clients []*loadClient, passed time.Duration) map[string]any {
	sum := counts{}
	latencies := []uint32{}
	unfinished := 0
	var firstError any
	for _, client := range clients {
		client.mu.Lock()
		sum.add(client.count)
		latencies = append(latencies, client.latencies...)
		unfinished += len(client.pending)
		if firstError == nil && client.firstError != "" {
			firstError = client.firstError
		}
		client.mu.Unlock()
	}
	slices.Sort(latencies)
	seconds := passed.Seconds()
	line := map[string]any{
		"event":         "result",
		"blocks":        sum.blocks,
		"bytes":         sum.bytes,
		"seconds":       round(seconds),
		"blocksPerSec":  round(float64(sum.blocks) / seconds),
		"mibPerSec":     round(float64(sum.bytes) / seconds / (1 << 20)),
		"p50ms":         quantile(latencies, 0.5),
		"p99ms":         quantile(latencies, 0.99),
		"wanted":        sum.wanted,
		"lost":          sum.lost,
		"late":          sum.late,
		"unfinished":    unfinished,
		"wrong":         sum.wrong,
		"duplicates":    sum.duplicates,
		"unwanted":      sum.unwanted,
		"haves":         sum.haves,
		"dontHave":      sum.dontHave,
		"missingAsked":  sum.missingAsked,
		"missingDenied": sum.missingDontHave,
		"messages":      sum.messages,
		"disconnects":   sum.disconnects,
		"errors":        sum.errors,
		"firstError":    firstError,
	}
	for name, value := range processUse() {
		line[name] = value
	}
	return line
}

// untilLastAnswer is how long answers came; waiting for what never came does not count.
func untilLastAnswer(clients []*loadClient, started time.Time) time.Duration {
	last := started
	for _, client := range clients {
		client.mu.Lock()
		if client.lastAnswer.After(last) {
			last = client.lastAnswer
		}
		client.mu.Unlock()
	}
	return max(last.Sub(started), time.Millisecond)
}

func quantile(sortedMicros []uint32, at float64) any {
	if len(sortedMicros) == 0 {
		return nil
	}
	return round(float64(sortedMicros[int(float64(len(sortedMicros)-1)*at)]) / 1000)
}

func round(value float64) float64 {
	return math.Round(value*1000) / 1000
}
