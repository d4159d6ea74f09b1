package rows

import (
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"ml-intern/internal/hub/feature"
)

// A node is a part of a Parquet schema, with what is needed to put values
// together again: the levels at which it is there and repeats.
type node struct {
	name     string
	children []*node
	leaf     bool
	repeated bool
	list     bool // a group that stands for a list
	def, rep int
	first    int // its first leaf
	leaves   int
	dtype    string
	value    func(parquet.Value) any
}

// levels count while a schema is walked.
type levels struct{ def, rep, leaf int }

func newNode(n parquet.Node, name string, at *levels) *node {
	outer := *at
	out := &node{name: name, first: at.leaf}
	if n.Optional() {
		at.def++
	}
	if n.Repeated() {
		at.def++
		at.rep++
		out.repeated = true
	}
	out.def, out.rep = at.def, at.rep
	if n.Leaf() {
		out.leaf = true
		out.dtype, out.value = reading(n.Type())
		at.leaf++
	} else {
		for _, f := range n.Fields() {
			out.children = append(out.children, newNode(f, f.Name(), at))
		}
		out.list = isList(n) && len(out.children) == 1 && out.children[0].repeated
	}
	out.leaves = at.leaf - out.first
	at.def, at.rep = outer.def, outer.rep
	return out
}

func isList(n parquet.Node) bool {
	if t := n.Type(); t != nil {
		if logical := t.LogicalType(); logical != nil {
			switch logical.Value.(type) {
			case *format.ListType, *format.MapType:
				return true
			}
		}
		if c := t.ConvertedType(); c != nil {
			return *c == deprecated.List || *c == deprecated.Map || *c == deprecated.MapKeyValue
		}
	}
	return false
}

// element is what a list holds: the only field of its repeated group, or that
// group itself in files of older writers.
func (n *node) element() (item, holder *node) {
	holder = n.children[0]
	if !holder.leaf && len(holder.children) == 1 && holder.name != "array" && !strings.HasSuffix(holder.name, "_tuple") {
		return holder.children[0], holder
	}
	return holder, holder
}

// typ is the type that values of the node have.
func (n *node) typ() feature.Type {
	if n.repeated {
		return feature.ListOf(n.one())
	}
	return n.one()
}

func (n *node) one() feature.Type {
	switch {
	case n.leaf:
		return feature.Scalar(n.dtype)
	case n.list:
		item, holder := n.element()
		if item == holder {
			return feature.ListOf(holder.one())
		}
		return feature.ListOf(item.typ())
	}
	fields := feature.Features{}
	for _, c := range n.children {
		fields = append(fields, feature.Column{Name: c.name, Type: c.typ()})
	}
	return feature.StructOf(fields)
}

// An object is a struct's value: its fields in order.
type object struct {
	names  []string
	values []any
}

// read puts the node's value together from the values of the leaves.
func (n *node) read(columns [][]parquet.Value) any {
	if !n.repeated {
		return n.readOne(columns)
	}
	items := []any{}
	n.each(columns, func(part [][]parquet.Value) { items = append(items, n.readOne(part)) })
	return items
}

func (n *node) readOne(columns [][]parquet.Value) any {
	values := columns[n.first]
	if len(values) == 0 || values[0].DefinitionLevel() < n.def {
		return nil
	}
	switch {
	case n.leaf:
		return n.value(values[0])
	case n.list:
		item, holder := n.element()
		items := []any{}
		holder.each(columns, func(part [][]parquet.Value) {
			if item == holder {
				items = append(items, holder.readOne(part))
			} else {
				items = append(items, item.read(part))
			}
		})
		return items
	}
	out := object{}
	for _, c := range n.children {
		out.names, out.values = append(out.names, c.name), append(out.values, c.read(columns))
	}
	return out
}

// each cuts the values of a repeated node into those of its items.
func (n *node) each(columns [][]parquet.Value, do func([][]parquet.Value)) {
	values := columns[n.first]
	if len(values) == 0 || values[0].DefinitionLevel() < n.def {
		return
	}
	at := make([]int, n.leaves)
	part := make([][]parquet.Value, len(columns))
	for at[0] < len(values) {
		for i := range n.leaves {
			all := columns[n.first+i]
			end := at[i]
			for end++; end < len(all) && all[end].RepetitionLevel() > n.rep; {
				end++
			}
			part[n.first+i] = all[min(at[i], len(all)):min(end, len(all))]
			at[i] = end
		}
		do(part)
	}
}

// reading chooses how the values of a leaf are read, and their type's name.
func reading(t parquet.Type) (dtype string, value func(parquet.Value) any) {
	if logical := t.LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.TimestampType:
			return readTimestamp(l.Unit, l.IsAdjustedToUTC)
		case *format.DateType:
			return "date32", readDate
		case *format.DecimalType:
			return "decimal128(" + strconv.Itoa(int(l.Precision)) + ", " + strconv.Itoa(int(l.Scale)) + ")", readDecimal(int(l.Scale))
		case *format.IntType:
			return readInt(int(l.BitWidth), l.IsSigned)
		case *format.StringType, *format.EnumType, *format.JsonType:
			return "string", readText
		}
	}
	if c := t.ConvertedType(); c != nil {
		switch *c {
		case deprecated.UTF8, deprecated.Enum, deprecated.Json:
			return "string", readText
		case deprecated.Date:
			return "date32", readDate
		case deprecated.TimestampMillis:
			return "timestamp[ms]", func(v parquet.Value) any { return time.UnixMilli(v.Int64()).UTC() }
		case deprecated.TimestampMicros:
			return "timestamp[us]", func(v parquet.Value) any { return time.UnixMicro(v.Int64()).UTC() }
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return "bool", func(v parquet.Value) any { return v.Boolean() }
	case parquet.Int32:
		return readInt(32, true)
	case parquet.Int64:
		return readInt(64, true)
	case parquet.Float:
		return "float32", func(v parquet.Value) any { return widened(v.Float()) }
	case parquet.Double:
		return "float64", func(v parquet.Value) any { return v.Double() }
	case parquet.Int96:
		return "timestamp[ns]", readInt96
	}
	return "binary", func(v parquet.Value) any { return append([]byte(nil), v.ByteArray()...) }
}

// widened keeps the digits that the shorter number is written with.
func widened(f float32) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return v
}

func readText(v parquet.Value) any { return strings.ToValidUTF8(string(v.ByteArray()), "\ufffd") }

func readInt(bits int, signed bool) (string, func(parquet.Value) any) {
	name := "int" + strconv.Itoa(bits)
	switch {
	case !signed && bits == 64:
		return "u" + name, func(v parquet.Value) any {
			if n := v.Uint64(); n>>63 != 0 {
				return float64(n)
			}
			return v.Int64()
		}
	case !signed:
		return "u" + name, func(v parquet.Value) any { return int64(v.Uint32()) }
	case bits == 64:
		return name, func(v parquet.Value) any { return v.Int64() }
	}
	return name, func(v parquet.Value) any { return int64(v.Int32()) }
}

func readTimestamp(unit format.TimeUnit, utc bool) (string, func(parquet.Value) any) {
	name, read := "ns", func(v parquet.Value) any { return time.Unix(0, v.Int64()).UTC() }
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		name, read = "ms", func(v parquet.Value) any { return time.UnixMilli(v.Int64()).UTC() }
	case *format.MicroSeconds:
		name, read = "us", func(v parquet.Value) any { return time.UnixMicro(v.Int64()).UTC() }
	}
	if utc {
		name += ", tz=UTC"
	}
	return "timestamp[" + name + "]", read
}

// A date is a day without a time.
type date struct{ time.Time }

func readDate(v parquet.Value) any { return date{time.Unix(int64(v.Int32())*86400, 0).UTC()} }

func readInt96(v parquet.Value) any {
	const julianEpoch = 2440588 // the day of 1970-01-01
	n := v.Int96()
	return time.Unix((int64(n[2])-julianEpoch)*86400, int64(n[0])|int64(n[1])<<32).UTC()
}

func readDecimal(scale int) func(parquet.Value) any {
	return func(v parquet.Value) any {
		n := new(big.Int)
		switch v.Kind() {
		case parquet.Int32:
			n.SetInt64(int64(v.Int32()))
		case parquet.Int64:
			n.SetInt64(v.Int64())
		default:
			b := v.ByteArray()
			n.SetBytes(b)
			if len(b) > 0 && b[0]&0x80 != 0 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
		}
		f, _ := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(0, min(scale, 100)))), nil)).Float64()
		return f
	}
}
