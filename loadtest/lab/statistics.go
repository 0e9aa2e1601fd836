package lab

import "slices"

// Median is the middle one of an odd number of values. It sorts them.
func Median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// Quantile is the value that a share of sorted values does not exceed; 0 if there are none.
func Quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(share*float64(len(sorted)-1))]
}

// Ratio is a / b, and 0 if b was not measured.
func Ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
