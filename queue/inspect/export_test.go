package inspect

// DecodeSlots returns the slots of the points in a part of a ring.
func DecodeSlots(text string, first, last int64) (slots []int64) {
	for _, d := range decodeDots(text, first, last) {
		slots = append(slots, d.slot)
	}
	return slots
}
