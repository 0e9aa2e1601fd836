package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/worker"
)

// parseQueue reads NAME, NAME,WEIGHT, or NAME with what strict order gives it besides its place:
// NAME,floor=5%,max=3,late=60s. The error has all problems.
func parseQueue(text string) (worker.QueueWeight, error) {
	words := strings.Split(text, ",")
	q := worker.QueueWeight{Name: strings.TrimSpace(words[0])}
	var problems []error
	for _, word := range words[1:] {
		word = strings.TrimSpace(word)
		key, value, named := strings.Cut(word, "=")
		err := error(nil)
		switch {
		case !named:
			q.Weight, err = parseWeight(word)
		case key == "floor":
			q.Floor.Share, err = parsePercent(value)
		case key == "max":
			q.Floor.Max, err = parseMax(value)
		case key == "late":
			q.Floor.Late, err = parseLate(value)
		default:
			err = fmt.Errorf("there is no %s: want a weight, floor=5%%, max=3 or late=60s", key)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("queue %q: %w", text, err))
		}
	}
	return q, errors.Join(problems...)
}

func parseWeight(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, errors.New("the weight after the comma must be a whole number")
	}
	return n, nil
}

func parsePercent(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(n > 0 && n <= 100) {
		return 0, fmt.Errorf("floor=%s: want a share of the jobs in percent, such as floor=5%%",
			text)
	}
	return n / 100, nil
}

func parseMax(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("max=%s: want a number of threads, such as max=3", text)
	}
	return n, nil
}

func parseLate(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("late=%s: want an age with its unit, such as late=60s", text)
	}
	return d, nil
}

// queueList lists queues as parseQueue reads them.
func queueList(queues []worker.QueueWeight) string {
	var names []string
	for _, q := range queues {
		name := q.Name
		if q.Weight > 0 {
			name += "," + strconv.Itoa(q.Weight)
		}
		if q.Floor.Share > 0 {
			name += ",floor=" + strconv.FormatFloat(q.Floor.Share*100, 'g', 6, 64) + "%"
		}
		if q.Floor.Max > 0 {
			name += ",max=" + strconv.Itoa(q.Floor.Max)
		}
		if q.Floor.Late > 0 {
			name += ",late=" + q.Floor.Late.String()
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}
