package queue

// Rendezvous returns the one of names that a key belongs to: the one with the highest weight, which
// is a hash of the name and the key. Every process finds the same name, whatever the order of
// names. If a name is added or removed, only the keys of that name change theirs. It returns "" for
// no names. The hash is FNV-1a of the name, a zero byte and the key, in 64 bits, and then the last
// step of MurmurHash3, because FNV-1a alone spreads short keys unevenly. It must not change: two
// versions of a program would place one lock in two shards.
func Rendezvous(key string, names []string) string {
	best, most := "", uint64(0)
	for i, name := range names {
		w := rendezvousWeight(name, key)
		if i == 0 || w > most || w == most && name < best {
			best, most = name, w
		}
	}
	return best
}

func rendezvousWeight(name, key string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, text := range []string{name, "\x00", key} {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * prime
		}
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
