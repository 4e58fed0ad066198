// Command peer is a real go-libp2p and boxo process for the tests: a backend (serve), a client (fetch),
// a load generator (load) and one that wants what it never gets (want).
//
// It talks JSON lines: one {"event":"ready",…} on stdout once it can be used, results as further lines,
// logs on stderr. Every subcommand ends when its stdin closes or on SIGTERM, so that a test that dies
// leaves no process behind.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

var commands = map[string]func(ctx context.Context, args []string) error{
	"serve": serve,
	"fetch": fetch,
	"load":  load,
	"want":  want,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: peer serve|fetch|load|want [flags]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	err := commands[os.Args[1]](ctx, os.Args[2:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		emit(map[string]any{"event": "failed", "error": err.Error()})
		os.Exit(1)
	}
}

var stdout sync.Mutex

// emit writes one JSON line to stdout.
func emit(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	stdout.Lock()
	defer stdout.Unlock()
	_, _ = os.Stdout.Write(append(text, '\n'))
}
