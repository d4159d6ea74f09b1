package feature

import (
	"fmt"
	"strings"
)

const (
	maxDepth    = 64 // deeper nesting is cut, in reading and in writing
	shownLabels = 5  // classes that are named in full
)

// String is the type in short readable form: list<struct<role: string, content: string>>.
func (t Type) String() string {
	var b strings.Builder
	t.write(&b, 0)
	return b.String()
}

func (t Type) write(b *strings.Builder, depth int) {
	if depth > maxDepth {
		b.WriteString("…")
		return
	}
	switch t.Kind {
	case Value:
		b.WriteString(t.DType)
	case ClassLabel:
		t.writeLabels(b)
	case List, LargeList:
		b.WriteString("list<")
		if t.Item != nil {
			t.Item.write(b, depth+1)
		}
		b.WriteString(">")
		if t.Length > 0 {
			fmt.Fprintf(b, "[%d]", t.Length)
		}
	case Struct:
		b.WriteString("struct<")
		for i, c := range t.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(c.Name + ": ")
			c.Type.write(b, depth+1)
		}
		b.WriteString(">")
	case Translation:
		fmt.Fprintf(b, "translation<%s>", strings.Join(t.Languages, ", "))
	default:
		b.WriteString(strings.ToLower(t.Kind))
		if t.DType != "" {
			fmt.Fprintf(b, "<%s>", t.DType)
		}
		if len(t.Shape) > 0 {
			b.WriteString(strings.ReplaceAll(fmt.Sprint(t.Shape), " ", "×"))
		}
	}
}

func (t Type) writeLabels(b *strings.Builder) {
	if len(t.Names) == 0 {
		b.WriteString("label")
		return
	}
	if len(t.Names) > shownLabels {
		fmt.Fprintf(b, "label<%d classes>", len(t.Names))
		return
	}
	b.WriteString("label<")
	for i, name := range t.Names {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%s=%d", name, i)
	}
	b.WriteString(">")
}

// Tree writes columns one a line, the fields of structs indented below their
// column, for people who look for a name.
func (f Features) Tree() string {
	var b strings.Builder
	f.tree(&b, 0)
	return b.String()
}

func (f Features) tree(b *strings.Builder, depth int) {
	for _, c := range f {
		inner, lists := c.Type, ""
		for inner.IsList() && inner.Item != nil && len(lists) < maxDepth {
			inner, lists = *inner.Item, lists+"list of "
		}
		indent := strings.Repeat("  ", depth)
		if inner.Kind != Struct || depth > maxDepth {
			fmt.Fprintf(b, "%s%s: %s\n", indent, c.Name, c.Type)
			continue
		}
		fmt.Fprintf(b, "%s%s: %sstruct\n", indent, c.Name, lists)
		inner.Fields.tree(b, depth+1)
	}
}
