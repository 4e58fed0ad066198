package main

import (
	"encoding/json"
	"net/http"
	"runtime"
	"sync/atomic"
	"syscall"

	"github.com/ipfs/boxo/bitswap"
	bsmsg "github.com/ipfs/boxo/bitswap/message"
	bspb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// wantCounter counts the wantlist entries that peers sent, as the wire had them.
type wantCounter struct {
	messages, full, wantBlocks, wantHaves, cancels atomic.Uint64
}

func (w *wantCounter) MessageSent(peer.ID, bsmsg.BitSwapMessage) {}

func (w *wantCounter) MessageReceived(_ peer.ID, message bsmsg.BitSwapMessage) {
	w.messages.Add(1)
	if message.Full() {
		w.full.Add(1)
	}
	for _, entry := range message.Wantlist() {
		switch {
		case entry.Cancel:
			w.cancels.Add(1)
		case entry.WantType == bspb.Message_Wantlist_Have:
			w.wantHaves.Add(1)
		default:
			w.wantBlocks.Add(1)
		}
	}
}

// processUse is the CPU and memory of this process so far.
func processUse() map[string]any {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return map[string]any{}
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	unit := int64(1024)
	if runtime.GOOS == "darwin" { // counts bytes where Linux counts KiB
		unit = 1
	}
	return map[string]any{
		"cpuSeconds":  round(seconds(use.Utime) + seconds(use.Stime)),
		"maxRssBytes": int64(use.Maxrss) * unit,
	}
}

// statsHandler answers /test/stats.
func statsHandler(node host.Host, exchange *bitswap.Bitswap, wants *wantCounter) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		stat, err := exchange.Stat()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		peers := []string{}
		for _, id := range node.Network().Peers() {
			peers = append(peers, id.String())
		}
		answer := processUse()
		answer["peers"] = peers
		answer["connections"] = len(node.Network().Conns())
		answer["blocksSent"] = stat.BlocksSent
		answer["bytesSent"] = stat.DataSent
		answer["blocksReceived"] = stat.BlocksReceived
		answer["bytesReceived"] = stat.DataReceived
		answer["duplicateBlocksReceived"] = stat.DupBlksReceived
		answer["pendingWants"] = len(stat.Wantlist)
		answer["messagesReceived"] = wants.messages.Load()
		answer["fullWantlists"] = wants.full.Load()
		answer["wantBlocks"] = wants.wantBlocks.Load()
		answer["wantHaves"] = wants.wantHaves.Load()
		answer["cancels"] = wants.cancels.Load()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}
