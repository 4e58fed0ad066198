package main

import (
	"bufio"
	"bytes"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// receive reads messages from a stream that the peer opened.
func (c *loadClient) receive(stream network.Stream) {
	defer func() { go stream.Close() }()
	if c.o.slow {
		<-c.done
		return
	}
	reader := bufio.NewReaderSize(stream, 64*1024)
	var frame []byte
	for {
		var err error
		frame, err = readFrame(reader, frame)
		if err == io.EOF {
			return
		}
		var message wireMessage
		if err == nil {
			message, err = parseMessage(frame)
		}
		if err != nil {
			select {
			case <-c.done:
			default:
				c.failed(err)
			}
			_ = stream.Reset()
			return
		}
		c.settle(message)
		poke(c.wake)
		poke(c.change)
	}
}

// settle books what a message answers.
func (c *loadClient) settle(message wireMessage) {
	keys := make([]digest, len(message.blocks))
	for i, block := range message.blocks {
		keys[i] = keyOf(block.data, c.o.verify) // outside the lock: this is the expensive part
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.messages++
	c.lastAnswer = now
	for i, block := range message.blocks {
		index, known := c.all.known[keys[i]]
		if !known || len(block.data) != c.o.size || (block.prefix != nil && !bytes.Equal(block.prefix, prefixOfRaw)) {
			c.count.wrong++
			continue
		}
		since, wanted := c.pending[index]
		switch {
		case wanted:
			delete(c.pending, index)
			c.fate[index] = received
			c.count.blocks++
			c.count.bytes += int64(len(block.data))
			c.latencies = append(c.latencies, micros(now.Sub(since)))
			for range c.o.cancels {
				c.cancels = append(c.cancels, index)
			}
		case c.fate[index] == givenUp:
			c.count.late++
		case c.fate[index] == received:
			c.count.duplicates++
		default:
			c.count.unwanted++
		}
	}
	c.count.haves += int64(len(message.haves))
	for _, id := range message.dontHaves {
		if since, absent := c.missing[string(id)]; absent {
			delete(c.missing, string(id))
			c.latencies = append(c.latencies, micros(now.Sub(since)))
			c.count.missingDontHave++
		}
		c.count.dontHave++
	}
}

func micros(latency time.Duration) uint32 {
	return uint32(min(latency.Microseconds(), 1<<32-1))
}
