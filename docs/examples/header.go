// The native header of a value: docs/applications.md. Prints one in hexadecimal:
// go run header.go NANOSECONDS TXN DELETED VALUE
package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
)

const (
	headerSize = 24
	deletedBit = 0x01
)

// Encode returns the bytes to put. The value of a deleted entry is empty: the header alone is its tombstone.
func Encode(timestampNano, txnID uint64, deleted bool, value []byte) []byte {
	stored := make([]byte, headerSize, headerSize+len(value))
	binary.BigEndian.PutUint64(stored[0:], timestampNano)
	binary.BigEndian.PutUint64(stored[8:], txnID)
	if deleted {
		stored[17] = deletedBit
		return stored
	}
	return append(stored, value...)
}

// Decode returns the timestamp, whether the entry is deleted, and the application's value. Extension blocks are skipped.
func Decode(stored []byte) (timestampNano uint64, deleted bool, value []byte, err error) {
	if len(stored) < headerSize || stored[16] != 0 {
		return 0, false, nil, errors.New("no native header that is known")
	}
	size := headerSize + 8*int(binary.BigEndian.Uint16(stored[22:]))
	if len(stored) < size {
		return 0, false, nil, errors.New("shorter than its header says")
	}
	return binary.BigEndian.Uint64(stored), stored[17]&deletedBit != 0, stored[size:], nil
}

func main() {
	timestamp, err1 := strconv.ParseUint(os.Args[1], 10, 64)
	txn, err2 := strconv.ParseUint(os.Args[2], 10, 64)
	stored := Encode(timestamp, txn, os.Args[3] == "true", []byte(os.Args[4]))
	read, deleted, _, err3 := Decode(stored)
	if err1 != nil || err2 != nil || err3 != nil {
		log.Fatal(err1, err2, err3)
	}
	if read != timestamp || deleted != (os.Args[3] == "true") {
		log.Fatal("the header does not read back as it was written")
	}
	fmt.Println(hex.EncodeToString(stored))
}
