package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/bitswap/server"
	"github.com/ipfs/boxo/blockservice"
)

// serve runs a backend: boxo's Bitswap server and client with Kubo's defaults over blocks in memory, no
// content routing, and the RPC paths of Kubo that an edge calls.
func serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	seed := flags.String("seed", "", "identity seed; empty makes a new identity")
	listen := flags.Int("listen", 0, "tcp port of Bitswap on 127.0.0.1, 0 = any")
	rpcPort := flags.Int("rpc", 0, "tcp port of the RPC on 127.0.0.1, 0 = any")
	count := flags.Uint("blocks", 0, "seeded raw blocks to hold")
	first := flags.Uint("first", 0, "index of the first of them")
	size := flags.Int("size", 4096, "bytes of each")
	blockSeed := flags.Uint("block-seed", 1, "seed of their content")
	fileBytes := flags.Int64("file", 0, "bytes of a seeded UnixFS file to hold")
	fileSeed := flags.Uint("file-seed", 1, "seed of its content")
	delayMs := flags.Int("delay", 0, "ms by which every block is answered late")
	corruptEvery := flags.Uint64("corrupt-every", 0, "answer every n-th block with wrong bytes")
	refsErrLine := flags.Bool("refs-err-line", false, "a refs that fails at once is a 200 with an Err line")
	gatewayPort := flags.Int("gateway", -1, "tcp port of the gateway on 127.0.0.1, 0 = any; -1 = none")
	ws := flags.Bool("ws", false, "listen for Bitswap over ws too, at any port")
	muxers := muxersFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}

	store := &faultyStore{
		Blockstore:   newMemoryStore(),
		delay:        time.Duration(*delayMs) * time.Millisecond,
		corruptEvery: *corruptEvery,
	}
	ready := map[string]any{"event": "ready", "pid": os.Getpid(), "root": nil}
	err := putSeededBlocks(ctx, store, uint32(*blockSeed), uint32(*first), uint32(*count), *size)
	if err != nil {
		return err
	}
	if *fileBytes > 0 {
		root, err := putSeededFile(ctx, store, uint32(*fileSeed), *fileBytes)
		if err != nil {
			return err
		}
		ready["root"] = root.String()
	}

	if *seed == "" {
		*seed = strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	key, err := seededKey(*seed)
	if err != nil {
		return err
	}
	addresses := []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", *listen)}
	if *ws {
		addresses = append(addresses, "/ip4/127.0.0.1/tcp/0/ws")
	}
	node, err := newHost(*muxers, key, addresses...)
	if err != nil {
		return err
	}
	defer node.Close()

	wants := &wantCounter{}
	exchange := bitswap.New(ctx, bsnet.NewFromIpfsHost(node), nil, store,
		bitswap.WithTracer(wants),
		// Kubo asks peers at private addresses always; here everybody is at one.
		bitswap.WithClientOption(client.BroadcastControlEnable(true)),
		bitswap.WithServerOption(server.SetSendDontHaves(true)),
	)
	defer exchange.Close()

	api := &rpc{node: node, key: key, store: store, refsErrLine: *refsErrLine,
		blocks: blockservice.New(store, exchange)}
	mux := api.routes()
	mux.HandleFunc("/test/stats", statsHandler(node, exchange, wants))
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *rpcPort))
	if err != nil {
		return err
	}
	web := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	defer web.Close()
	go func() { _ = web.Serve(listener) }()

	ready["peerId"] = node.ID().String()
	ready["addrs"] = peerAddresses(node)
	ready["rpc"] = "http://" + listener.Addr().String()
	ready["gateway"] = nil
	if *gatewayPort >= 0 {
		door, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *gatewayPort))
		if err != nil {
			return err
		}
		publicWeb := &http.Server{Handler: &gateway{store: store, blocks: api.blocks}, ReadHeaderTimeout: time.Minute}
		defer publicWeb.Close()
		go func() { _ = publicWeb.Serve(door) }()
		ready["gateway"] = "http://" + door.Addr().String()
	}
	emit(ready)
	<-ctx.Done()
	return nil
}
