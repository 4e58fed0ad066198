package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

const rawBlockType = "application/vnd.ipld.raw"

// retrievalTimeout is how long Kubo's gateway looks for what it does not have (Gateway.RetrievalTimeout).
const retrievalTimeout = 30 * time.Second

// gateway hands out raw blocks, and nothing else, in the way of Kubo's: told only-if-cached it says at once
// whether it has a block (412 if not), else it looks for it among its peers until it is out of time.
type gateway struct {
	store  blockstore.Blockstore
	blocks blockservice.BlockService
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isContent := strings.CutPrefix(r.URL.Path, "/ipfs/")
	c, err := cid.Decode(path)
	switch {
	case !isContent:
		http.NotFound(w, r)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case r.Method != http.MethodGet:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case r.URL.Query().Get("format") != "raw" && r.Header.Get("Accept") != rawBlockType:
		http.Error(w, "only raw blocks are to be had here", http.StatusNotAcceptable)
	default:
		g.serve(w, r, c)
	}
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request, c cid.Cid) {
	// As boxo does it, the header must be this and nothing more.
	if r.Header.Get("Cache-Control") == "only-if-cached" {
		if has, err := g.store.Has(r.Context(), c); err != nil || !has {
			http.Error(w, fmt.Sprintf("%q not in local datastore", r.URL.Path), http.StatusPreconditionFailed)
			return
		}
	}
	block, err := g.get(r.Context(), c)
	if err != nil {
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
		return
	}
	header := w.Header()
	header.Set("Content-Type", rawBlockType)
	header.Set("Content-Length", strconv.Itoa(len(block.RawData())))
	header.Set("Cache-Control", "public, max-age=29030400, immutable")
	header.Set("Etag", fmt.Sprintf("%q", c.String()+".raw"))
	header.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(block.RawData())
}

func (g *gateway) get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	ctx, cancel := context.WithTimeout(ctx, retrievalTimeout)
	defer cancel()
	return g.blocks.GetBlock(ctx, c)
}
