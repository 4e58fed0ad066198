package main

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync"
)

// digest names a block: its sha2-256, or with -verify=false the seed and index that it begins with.
type digest [sha256.Size]byte

// target is one block a load run knows.
type target struct {
	cid []byte
	key digest
}

// targets are all blocks of a run: read only once made, shared by all clients.
type targets struct {
	list  []target
	known map[digest]uint32
}

func newTargets(o *loadOptions) *targets {
	all := &targets{list: make([]target, o.blocks), known: make(map[digest]uint32, o.blocks)}
	var working sync.WaitGroup
	workers := runtime.NumCPU()
	for worker := range workers {
		working.Go(func() {
			data := make([]byte, o.size)
			for i := worker; i < o.blocks; i += workers {
				fillSeeded(data, o.seed, uint32(i))
				hash := sha256.Sum256(data)
				all.list[i] = target{cid: rawCid(hash).Bytes(), key: keyOf(data, o.verify)}
			}
		})
	}
	working.Wait()
	for i, block := range all.list {
		all.known[block.key] = uint32(i)
	}
	return all
}

func keyOf(data []byte, verify bool) (key digest) {
	if verify {
		return sha256.Sum256(data)
	}
	copy(key[:8], data)
	return key
}

// absentCid is the CID of a block that nobody has.
func absentCid(client, index int) []byte {
	var name [16]byte
	binary.LittleEndian.PutUint64(name[:], uint64(client))
	binary.LittleEndian.PutUint64(name[8:], uint64(index))
	return rawCid(sha256.Sum256(append([]byte("kitsune absent "), name[:]...))).Bytes()
}

// prefixOfRaw is what precedes the digest in every CID of a run, and the only prefix a block may have.
var prefixOfRaw = []byte{0x01, 0x55, 0x12, 0x20}
