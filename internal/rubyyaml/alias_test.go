package rubyyaml

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

func expand(t testing.TB, text string) (out any, err error) {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	n, err := Expand(document.Content[0])
	if err != nil {
		return nil, err
	}
	return out, n.Decode(&out)
}

func TestExpand(t *testing.T) {
	t.Run("puts the fields of a merge into the mapping", func(t *testing.T) {
		out, err := expand(t, "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")
		b, _ := out.(map[string]any)["b"].(map[string]any)
		if err != nil || b["x"] != 1 || b["y"] != 3 {
			t.Error(out, err)
		}
	})
	t.Run("refuses an alias of itself", func(t *testing.T) {
		if _, err := expand(t, "a: &a [*a]"); err == nil {
			t.Error("no error")
		}
	})
}

func FuzzExpand(f *testing.F) {
	f.Add("a: &a [1, 2]\nb: {<<: *c, d: *a}")
	f.Add("a: &a {x: *a}")
	f.Fuzz(func(t *testing.T, text string) { expand(t, text) })
}
