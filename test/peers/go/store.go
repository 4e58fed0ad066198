package main

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	chunker "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	mh "github.com/multiformats/go-multihash"
)

// newMemoryStore returns a store that, as Kubo's, also has what is inside of identity CIDs.
func newMemoryStore() blockstore.Blockstore {
	return blockstore.NewIdStore(blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore())))
}

// putSeededBlocks stores raw blocks from <= index < from+count.
func putSeededBlocks(ctx context.Context, store blockstore.Blockstore, seed, from, count uint32, size int) error {
	for index := from; index < from+count; index++ {
		data := make([]byte, size)
		fillSeeded(data, seed, index)
		block, err := blocks.NewBlockWithCid(data, rawCid(sha256.Sum256(data)))
		if err != nil {
			return err
		}
		if err := store.Put(ctx, block); err != nil {
			return err
		}
	}
	return nil
}

// putSeededFile stores the UnixFS DAG that `ipfs add --cid-version 1` makes of a seeded file.
func putSeededFile(ctx context.Context, store blockstore.Blockstore, seed uint32, size int64) (cid.Cid, error) {
	parameters := helpers.DagBuilderParams{
		Dagserv:    merkledag.NewDAGService(blockservice.New(store, offline.Exchange(store))),
		Maxlinks:   helpers.DefaultLinksPerBlock,
		RawLeaves:  true,
		CidBuilder: cid.V1Builder{Codec: cid.DagProtobuf, MhType: mh.SHA2_256},
	}
	builder, err := parameters.New(chunker.NewSizeSplitter(newSeededFile(seed, size), chunkBytes))
	if err != nil {
		return cid.Undef, err
	}
	root, err := balanced.Layout(builder)
	if err != nil {
		return cid.Undef, err
	}
	return root.Cid(), nil
}

// faultyStore is a store whose reads may be late or wrong: what a bad backend does.
type faultyStore struct {
	blockstore.Blockstore
	delay        time.Duration
	corruptEvery uint64
	reads        atomic.Uint64
}

func (s *faultyStore) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	block, err := s.Blockstore.Get(ctx, c)
	if err != nil || s.corruptEvery == 0 || s.reads.Add(1)%s.corruptEvery != 0 {
		return block, err
	}
	wrong := append([]byte(nil), block.RawData()...)
	if len(wrong) > 0 {
		wrong[len(wrong)-1] ^= 0xff
	}
	return blocks.NewBlockWithCid(wrong, c)
}
