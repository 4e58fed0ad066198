package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	// Kubo knows these as well; without them a DAG of such blocks ends at its root.
	_ "github.com/ipld/go-ipld-prime/codec/dagcbor"
	_ "github.com/ipld/go-ipld-prime/codec/dagjson"
)

// refsLine is one line of the refs stream.
type refsLine struct{ Ref, Err string }

// refsWalk lists the links under a DAG depth first and fetches, in one Bitswap session, whatever it
// needs for that: with recursion every block down to the leaves, as Kubo does.
type refsWalk struct {
	dag      ipld.NodeGetter
	emit     func(refsLine) error
	maxDepth int
	unique   bool
	format   string
	seen     map[cid.Cid]int
}

// parsePath splits <cid>, /ipfs/<cid> and /ipfs/<cid>/a/b into the CID and the names under it.
func parsePath(text string) (cid.Cid, []string, error) {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(text, "/ipfs/"), "/"), "/")
	c, err := cid.Decode(parts[0])
	if err != nil {
		return cid.Undef, nil, fmt.Errorf("invalid path %q: %w", text, err)
	}
	return c, parts[1:], nil
}

func flagOf(query url.Values, names ...string) bool {
	for _, name := range names {
		if yes, _ := strconv.ParseBool(query.Get(name)); yes {
			return true
		}
	}
	return false
}

func newRefsWalk(query url.Values) (*refsWalk, error) {
	walk := &refsWalk{
		maxDepth: 1,
		unique:   flagOf(query, "unique", "u"),
		format:   "<dst>",
		seen:     map[cid.Cid]int{},
	}
	if flagOf(query, "recursive", "r") {
		walk.maxDepth = -1
		if text := query.Get("max-depth"); text != "" {
			depth, err := strconv.Atoi(text)
			if err != nil {
				return nil, badRequest{err}
			}
			walk.maxDepth = depth
		}
	}
	if format := query.Get("format"); format != "" {
		walk.format = format
	}
	if flagOf(query, "edges", "e") {
		walk.format = "<src> -> <dst>"
	}
	return walk, nil
}

// refs answers /api/v0/refs. What fails before the first line is an HTTP error; after it the stream
// ends in a line with Err and the X-Stream-Error trailer.
func (api *rpc) refs(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	walk, err := newRefsWalk(query)
	if err != nil {
		return err
	}
	if len(query["arg"]) == 0 {
		return badRequest{fmt.Errorf("argument %q is required", "ipfs-path")}
	}
	walk.dag = merkledag.NewDAGService(api.blocks).Session(r.Context())
	sent := false
	walk.emit = func(line refsLine) error {
		if !sent {
			sent = true
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Chunked-Output", "1")
			w.Header().Set("Trailer", "X-Stream-Error")
		}
		if err := json.NewEncoder(w).Encode(line); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	for _, path := range query["arg"] {
		if err := walk.path(r.Context(), path); err != nil {
			if !sent && !api.refsErrLine {
				return err
			}
			_ = walk.emit(refsLine{Err: err.Error()})
			w.Header().Set("X-Stream-Error", err.Error())
			return nil
		}
	}
	if !sent {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
	}
	return nil
}

func (walk *refsWalk) path(ctx context.Context, path string) error {
	c, names, err := parsePath(path)
	if err != nil {
		return err
	}
	node, err := walk.dag.Get(ctx, c)
	if err != nil {
		return err
	}
	for _, name := range names {
		link, _, err := node.ResolveLink([]string{name})
		if err != nil {
			return fmt.Errorf("no link named %q under %s", name, node.Cid())
		}
		if node, err = link.GetNode(ctx, walk.dag); err != nil {
			return err
		}
	}
	return walk.children(ctx, node, 0)
}

func (walk *refsWalk) children(ctx context.Context, node ipld.Node, depth int) error {
	if walk.maxDepth >= 0 && depth >= walk.maxDepth {
		return nil
	}
	promises := []*ipld.NodePromise{}
	if walk.maxDepth < 0 || depth+1 < walk.maxDepth {
		promises = ipld.GetDAG(ctx, walk.dag, node)
	}
	for i, link := range node.Links() {
		before, seen := walk.seen[link.Cid]
		// Seen higher up or just as high: everything under it was listed then.
		deeper := !walk.unique || !seen || (walk.maxDepth >= 0 && depth < before)
		if deeper {
			walk.seen[link.Cid] = depth
		}
		if !walk.unique || !seen {
			if err := walk.emit(refsLine{Ref: walk.text(node, link)}); err != nil {
				return err
			}
		}
		if !deeper || len(promises) == 0 {
			continue
		}
		child, err := promises[i].Get(ctx)
		if err != nil {
			return err
		}
		if err := walk.children(ctx, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (walk *refsWalk) text(from ipld.Node, link *ipld.Link) string {
	return strings.NewReplacer(
		"<src>", from.Cid().String(),
		"<dst>", link.Cid.String(),
		"<linkname>", link.Name,
	).Replace(walk.format)
}
