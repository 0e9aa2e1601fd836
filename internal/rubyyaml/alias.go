// Package rubyyaml expands the aliases of a YAML file as Ruby does. go.yaml.in/yaml expands them only
// when it decodes into Go values, and then without the lines, which errors need.
package rubyyaml

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds a file after its aliases are expanded: a few lines of aliases of aliases can
// stand for billions of nodes.
const maxNodes = 100_000

// Expand returns a copy of a node without aliases (*name) and merge keys (<<). Of a key that a
// mapping has several times, also by merging, the last counts. The error names the line.
func Expand(n *yaml.Node) (*yaml.Node, error) { return new(aliases).expand(n) }

// aliases expands the aliases (*name) and merge keys (<<) of a YAML file as Ruby reads them.
type aliases struct {
	under []*yaml.Node // the nodes that are being expanded, the outermost first
	nodes int
}

// expand is a copy of n without aliases and merge keys. Of a key that a mapping has several times,
// also by merging, the last counts.
func (a *aliases) expand(n *yaml.Node) (*yaml.Node, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if a.nodes++; a.nodes > maxNodes {
		return nil, fmt.Errorf("line %d: the aliases stand for more than %d values", n.Line,
			maxNodes)
	}
	if slices.Contains(a.under, n) {
		return nil, fmt.Errorf("line %d: the alias &%s stands for itself", n.Line, n.Anchor)
	}
	a.under = append(a.under, n)
	defer func() { a.under = a.under[:len(a.under)-1] }()
	out := *n
	out.Content, out.Anchor = nil, ""
	if n.Kind == yaml.MappingNode {
		return &out, a.mapping(&out, n)
	}
	for _, item := range n.Content {
		child, err := a.expand(item)
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, child)
	}
	return &out, nil
}

// mapping puts the expanded fields of n into out.
func (a *aliases) mapping(out, n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := a.expand(n.Content[i])
		if err != nil {
			return err
		}
		value, err := a.expand(n.Content[i+1])
		if err != nil {
			return err
		}
		if key.Tag != "!!merge" {
			set(out, key, value)
			continue
		}
		if err := merge(out, value); err != nil {
			return err
		}
	}
	return nil
}

// merge puts the fields of a mapping, or of a list of mappings, into out. Of the list the first
// counts.
func merge(out, value *yaml.Node) error {
	switch value.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(value.Content); i += 2 {
			set(out, value.Content[i], value.Content[i+1])
		}
		return nil
	case yaml.SequenceNode:
		for _, item := range slices.Backward(value.Content) {
			if err := merge(out, item); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("line %d: <<: want the alias of a mapping", value.Line)
	}
}

// set puts a field into a mapping, in the place of one with the same key. Ruby's symbol :key and
// the text key are the same key here.
func set(m, key, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if strings.TrimPrefix(m.Content[i].Value, ":") == strings.TrimPrefix(key.Value, ":") {
			m.Content[i+1] = value
			return
		}
	}
	m.Content = append(m.Content, key, value)
}
