package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	mh "github.com/multiformats/go-multihash"
)

// rpc answers the part of Kubo's RPC that an edge calls, in Kubo's shape.
type rpc struct {
	node        host.Host
	key         crypto.PrivKey
	store       blockstore.Blockstore
	blocks      blockservice.BlockService
	refsErrLine bool
}

func (api *rpc) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for path, handler := range map[string]func(http.ResponseWriter, *http.Request) error{
		"id":            api.id,
		"refs":          api.refs,
		"block/get":     api.blockGet,
		"block/stat":    api.blockStat,
		"block/put":     api.blockPut,
		"swarm/connect": api.swarmConnect,
	} {
		mux.HandleFunc("/api/v0/"+path, postOnly(handler))
	}
	return mux
}

// postOnly refuses GET as Kubo does, applies ?timeout= and puts errors into Kubo's form.
func postOnly(handler func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", agentVersion)
		w.Header().Set("Vary", "Origin")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", "OPTIONS, POST")
			http.Error(w, "405 - Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		if text := r.URL.Query().Get("timeout"); text != "" {
			timeout, err := time.ParseDuration(text)
			if err != nil {
				rpcError(w, http.StatusBadRequest, err)
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		var bad badRequest
		switch err := handler(w, r); {
		case errors.As(err, &bad):
			rpcError(w, http.StatusBadRequest, err)
		case err != nil:
			rpcError(w, http.StatusInternalServerError, err)
		}
	}
}

type badRequest struct{ error }

func rpcError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	code := 0
	if status == http.StatusBadRequest {
		code = 1
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Message": err.Error(), "Code": code, "Type": "error"})
}

func sendJSON(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

func (api *rpc) id(w http.ResponseWriter, _ *http.Request) error {
	public, err := crypto.MarshalPublicKey(api.key.GetPublic())
	if err != nil {
		return err
	}
	protocols := []string{}
	for _, protocol := range api.node.Mux().Protocols() {
		protocols = append(protocols, string(protocol))
	}
	slices.Sort(protocols)
	addresses := peerAddresses(api.node)
	slices.Sort(addresses)
	return sendJSON(w, map[string]any{
		"ID":           api.node.ID().String(),
		"PublicKey":    base64.StdEncoding.EncodeToString(public),
		"Addresses":    addresses,
		"AgentVersion": agentVersion,
		"Protocols":    protocols,
	})
}

// argument is the CID in ?arg=, which may be written as a path.
func argument(r *http.Request) (cid.Cid, error) {
	text := r.URL.Query().Get("arg")
	if text == "" {
		return cid.Undef, badRequest{errors.New(`argument "arg" is required`)}
	}
	c, _, err := parsePath(text)
	return c, err
}

func (api *rpc) getBlock(r *http.Request) (blocks.Block, error) {
	c, err := argument(r)
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Get("offline") == "true" {
		return api.store.Get(r.Context(), c)
	}
	return api.blocks.GetBlock(r.Context(), c)
}

func (api *rpc) blockGet(w http.ResponseWriter, r *http.Request) error {
	block, err := api.getBlock(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Stream-Output", "1")
	_, err = w.Write(block.RawData())
	return err
}

func (api *rpc) blockStat(w http.ResponseWriter, r *http.Request) error {
	block, err := api.getBlock(r)
	if err != nil {
		return err
	}
	return sendJSON(w, map[string]any{"Key": block.Cid().String(), "Size": len(block.RawData())})
}

// blockPut stores each part of a multipart body; ?cid-codec= and the older ?format= as in Kubo.
func (api *rpc) blockPut(w http.ResponseWriter, r *http.Request) error {
	prefix := cid.Prefix{Version: 1, Codec: cid.Raw, MhType: mh.SHA2_256, MhLength: -1}
	query := r.URL.Query()
	codec := query.Get("cid-codec")
	if codec == "" {
		codec = query.Get("format")
	}
	switch codec {
	case "", "raw":
	case "v0":
		prefix.Version, prefix.Codec = 0, cid.DagProtobuf
	case "dag-pb", "protobuf":
		prefix.Codec = cid.DagProtobuf
	case "dag-cbor", "cbor":
		prefix.Codec = cid.DagCBOR
	default:
		return fmt.Errorf("unrecognized codec %q", codec)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return badRequest{err}
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return badRequest{err}
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return badRequest{err}
		}
		c, err := prefix.Sum(data)
		if err != nil {
			return err
		}
		block, err := blocks.NewBlockWithCid(data, c)
		if err != nil {
			return err
		}
		if err := api.blocks.AddBlock(r.Context(), block); err != nil {
			return err
		}
		if err := sendJSON(w, map[string]any{"Key": c.String(), "Size": len(data)}); err != nil {
			return err
		}
	}
}

func (api *rpc) swarmConnect(w http.ResponseWriter, r *http.Request) error {
	id, err := dial(r.Context(), api.node, r.URL.Query().Get("arg"))
	if err != nil {
		return err
	}
	return sendJSON(w, map[string]any{"Strings": []string{fmt.Sprintf("connect %s success", id)}})
}
