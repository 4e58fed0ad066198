package main

import (
	"crypto/sha256"
	"encoding/binary"
	"io"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// chunkBytes is the leaf size of seeded files: Kubo's and js-ipfs' default chunker.
const chunkBytes = 256 * 1024

// fillSeeded writes block `index` of the content named by `seed` into out. Anybody who knows the three
// numbers can recompute it (test/support/seeded-content.ts does): 8 bytes of little endian seed and
// index, which keep blocks distinct, then xorshift32 words.
func fillSeeded(out []byte, seed, index uint32) {
	var word [4]byte
	state := seed*0x9e3779b1 ^ (index+1)*0x85ebca6b
	if state == 0 {
		state = 1
	}
	for at := 0; at < len(out); at += 4 {
		var value uint32
		switch at {
		case 0:
			value = seed
		case 4:
			value = index
		default:
			state ^= state << 13
			state ^= state >> 17
			state ^= state << 5
			value = state
		}
		if len(out)-at >= 4 {
			binary.LittleEndian.PutUint32(out[at:], value)
			continue
		}
		binary.LittleEndian.PutUint32(word[:], value)
		copy(out[at:], word[:])
	}
}

// rawCid is the CIDv1 (raw, sha2-256) of a digest.
func rawCid(digest [sha256.Size]byte) cid.Cid {
	hash, err := mh.Encode(digest[:], mh.SHA2_256)
	if err != nil {
		panic(err)
	}
	return cid.NewCidV1(cid.Raw, hash)
}

// seededFile reads as `size` bytes: seeded chunks 0, 1, 2, … one after the other.
type seededFile struct {
	seed      uint32
	remaining int64
	index     uint32
	chunk     []byte
	unread    []byte
}

func newSeededFile(seed uint32, size int64) *seededFile {
	return &seededFile{seed: seed, remaining: size, chunk: make([]byte, chunkBytes)}
}

func (f *seededFile) Read(out []byte) (int, error) {
	if f.remaining == 0 {
		return 0, io.EOF
	}
	if len(f.unread) == 0 {
		fillSeeded(f.chunk, f.seed, f.index)
		f.index++
		f.unread = f.chunk[:min(int64(chunkBytes), f.remaining)]
	}
	n := copy(out, f.unread)
	f.unread = f.unread[n:]
	f.remaining -= int64(n)
	return n, nil
}
