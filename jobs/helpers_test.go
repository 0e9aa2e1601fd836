package jobs_test

import (
	"crypto/sha256"
	"encoding/hex"
)

// xorOfSums is FEP-8fcf's digest of a collection.
func xorOfSums(uris ...string) string {
	var all [32]byte
	for _, uri := range uris {
		sum := sha256.Sum256([]byte(uri))
		for i := range all {
			all[i] ^= sum[i]
		}
	}
	return hex.EncodeToString(all[:])
}
