package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// The Bitswap messages of the load generator, read and written by hand: independent of boxo's client
// and without its copies, so that a measurement is not one of this program.

// maxMessageBytes is what every implementation accepts at least; a longer one is the sender's fault.
const maxMessageBytes = 4 * 1024 * 1024

type wantEntry struct {
	cid          []byte
	cancel       bool
	have         bool
	sendDontHave bool
}

type wireBlock struct {
	prefix []byte // nil in Bitswap 1.0.0
	data   []byte
}

type wireMessage struct {
	blocks    []wireBlock
	haves     [][]byte
	dontHaves [][]byte
}

// appendWantlist appends a length-prefixed message that carries wants and cancels.
func appendWantlist(out []byte, entries []wantEntry, full bool) []byte {
	var list, entry []byte
	for _, want := range entries {
		entry = protowire.AppendTag(entry[:0], 1, protowire.BytesType)
		entry = protowire.AppendBytes(entry, want.cid)
		entry = protowire.AppendTag(entry, 2, protowire.VarintType)
		entry = protowire.AppendVarint(entry, 1)
		if want.cancel {
			entry = protowire.AppendTag(entry, 3, protowire.VarintType)
			entry = protowire.AppendVarint(entry, 1)
		}
		if want.have {
			entry = protowire.AppendTag(entry, 4, protowire.VarintType)
			entry = protowire.AppendVarint(entry, 1)
		}
		if want.sendDontHave {
			entry = protowire.AppendTag(entry, 5, protowire.VarintType)
			entry = protowire.AppendVarint(entry, 1)
		}
		list = protowire.AppendTag(list, 1, protowire.BytesType)
		list = protowire.AppendBytes(list, entry)
	}
	if full {
		list = protowire.AppendTag(list, 2, protowire.VarintType)
		list = protowire.AppendVarint(list, 1)
	}
	message := protowire.AppendTag(nil, 1, protowire.BytesType)
	message = protowire.AppendBytes(message, list)
	return protowire.AppendBytes(out, message)
}

// readFrame reads one length-prefixed message into buffer, which it returns grown where needed.
func readFrame(from *bufio.Reader, buffer []byte) ([]byte, error) {
	length, err := binary.ReadUvarint(from)
	if err != nil {
		return buffer, err
	}
	if length > maxMessageBytes {
		return buffer, fmt.Errorf("message of %d bytes", length)
	}
	if uint64(cap(buffer)) < length {
		buffer = make([]byte, length)
	}
	buffer = buffer[:length]
	_, err = io.ReadFull(from, buffer)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return buffer, err
}

// parseMessage takes a message apart; the result points into frame.
func parseMessage(frame []byte) (message wireMessage, err error) {
	err = eachBytes(frame, func(field protowire.Number, value []byte) error {
		switch field {
		case 2:
			message.blocks = append(message.blocks, wireBlock{data: value})
		case 3:
			block := wireBlock{prefix: []byte{}, data: []byte{}}
			message.blocks = append(message.blocks, block)
			last := &message.blocks[len(message.blocks)-1]
			return eachBytes(value, func(field protowire.Number, value []byte) error {
				switch field {
				case 1:
					last.prefix = value
				case 2:
					last.data = value
				}
				return nil
			})
		case 4:
			var cid []byte
			if err := eachBytes(value, func(field protowire.Number, value []byte) error {
				if field == 1 {
					cid = value
				}
				return nil
			}); err != nil {
				return err
			}
			if varintField(value, 2) == 1 {
				message.dontHaves = append(message.dontHaves, cid)
			} else {
				message.haves = append(message.haves, cid)
			}
		}
		return nil
	})
	return message, err
}

// eachBytes calls visit for every length-delimited field.
func eachBytes(message []byte, visit func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return protowire.ParseError(n)
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			if err := visit(field, value); err != nil {
				return err
			}
		}
		message = message[n:]
	}
	return nil
}

// varintField is the value of a varint field of a well-formed message, 0 where it is absent.
func varintField(message []byte, wanted protowire.Number) uint64 {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return 0
		}
		message = message[n:]
		if field == wanted && kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(message)
			return value
		}
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return 0
		}
		message = message[n:]
	}
	return 0
}
