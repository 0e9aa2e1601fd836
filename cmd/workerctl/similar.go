package main

import "strings"

// similar returns the names that a person may have meant by a word: those that begin with it, and
// those from which it differs by two letters at most. Large and small letters are the same.
func similar(word string, names []string) (meant []string) {
	word = strings.ToLower(word)
	for _, name := range names {
		small := strings.ToLower(name)
		if word != "" && small != "" &&
			(strings.HasPrefix(small, word) || distance(word, small) <= likeness(word)) {
			meant = append(meant, name)
		}
	}
	return meant
}

// likeness is by how many letters a name may differ from a word. In a short word every letter
// counts.
func likeness(word string) int { return min(2, len([]rune(word))/2) }

// distance is how many letters must be added, removed or replaced to make one text of the other.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1) // from the first i letters of x to each beginning of y
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before := row[0] // one letter less of both
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(before+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}

// orMeant is a question for names that a person may have meant by a word; "" if there are none.
func orMeant(word string, names []string) string {
	if meant := similar(word, names); len(meant) > 0 {
		return "did you mean " + strings.Join(meant[:min(len(meant), 5)], " or ") + "?"
	}
	return ""
}
