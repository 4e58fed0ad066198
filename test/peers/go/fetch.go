package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/ipld/merkledag"
	unixfs "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
)

// fetch runs a client: it dials one peer, fetches a whole DAG through boxo's Bitswap client in one
// session, hashes every block again and says what the UnixFS file in it is.
func fetch(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	address := flags.String("peer", "", "multiaddr to dial, with /p2p/…")
	root := flags.String("cid", "", "root of the DAG")
	timeout := flags.Duration("timeout", time.Minute, "time for everything")
	muxers := muxersFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := cid.Decode(*root)
	if err != nil {
		return fmt.Errorf("-cid: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()

	node, err := newHost(*muxers, nil)
	if err != nil {
		return err
	}
	defer node.Close()
	store := newMemoryStore()
	exchange := bitswap.New(ctx, bsnet.NewFromIpfsHost(node), nil, store,
		bitswap.WithClientOption(client.BroadcastControlEnable(true)))
	defer exchange.Close()
	if _, err := dial(ctx, node, *address); err != nil {
		return err
	}
	emit(map[string]any{"event": "ready", "peerId": node.ID().String()})

	started := time.Now()
	dag := merkledag.NewDAGService(blockservice.New(store, exchange))
	links := merkledag.GetLinksDirect(dag.Session(ctx)) // fetches raw leaves too
	visited := cid.NewSet()
	if err := merkledag.Walk(ctx, links, c, visited.Visit, merkledag.Concurrent()); err != nil {
		return fmt.Errorf("after %d blocks: %w", visited.Len(), err)
	}
	ms := time.Since(started).Milliseconds()
	blocks, bytes, err := verify(ctx, store)
	if err != nil {
		return err
	}
	done := map[string]any{"event": "done", "blocks": blocks, "bytes": bytes, "sha256": nil, "ms": ms}
	if digest, err := fileDigest(ctx, store, c); err == nil {
		done["sha256"] = digest
	}
	emit(done)
	return nil
}

// verify hashes every stored block, whatever boxo has checked before.
func verify(ctx context.Context, store blockstore.Blockstore) (count, bytes int, err error) {
	keys, err := store.AllKeysChan(ctx)
	if err != nil {
		return 0, 0, err
	}
	for key := range keys {
		block, err := store.Get(ctx, key)
		if err != nil {
			return count, bytes, err
		}
		sum, err := key.Prefix().Sum(block.RawData())
		if err != nil {
			return count, bytes, err
		}
		if !sum.Equals(key) {
			return count, bytes, fmt.Errorf("block %s has the bytes of %s", key, sum)
		}
		count++
		bytes += len(block.RawData())
	}
	return count, bytes, ctx.Err()
}

// fileDigest is the sha256 of a UnixFS file that is wholly in the store.
func fileDigest(ctx context.Context, store blockstore.Blockstore, root cid.Cid) (string, error) {
	dag := merkledag.NewDAGService(blockservice.New(store, offline.Exchange(store)))
	node, err := dag.Get(ctx, root)
	if err != nil {
		return "", err
	}
	reader, err := unixfs.NewDagReader(ctx, node, dag)
	if err != nil {
		return "", err
	}
	defer reader.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, reader); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
