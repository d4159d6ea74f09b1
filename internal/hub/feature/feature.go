// Package feature describes the columns of a dataset the way the Hub and the
// datasets library do: values, class labels, lists, structs, images.
//
// Its one rule: it reads every way in which a type has been written over the
// years, and what it does not know it keeps by name. A Type is a plain value
// that belongs to who holds it.
package feature

import "slices"

// The kinds of types. Others that the Hub may send are kept as they are.
const (
	Value       = "Value"      // a scalar, named by DType
	ClassLabel  = "ClassLabel" // a number that stands for one of Names
	List        = "List"       // also the older Sequence of anything but a struct
	LargeList   = "LargeList"
	Struct      = "Struct" // Fields in order; the Hub writes no name for it
	Image       = "Image"
	Audio       = "Audio"
	Video       = "Video"
	JSON        = "Json"        // anything, for values of several kinds
	Translation = "Translation" // a struct of texts by language
)

// A Type is the type of a column or of a part of one.
type Type struct {
	Kind      string
	DType     string   // of Value, and of arrays
	Names     []string // of ClassLabel, by number
	Item      *Type    // of lists
	Length    int      // of lists that are all as long; 0 if they need not be
	Fields    Features // of Struct
	Languages []string // of Translation
	Shape     []int    // of arrays
}

// A Column is a type with its name.
type Column struct {
	Name string
	Type Type
}

// Features are the columns of a dataset, in order.
type Features []Column

// Scalar is the type of plain values: string, int64, float64, bool …
func Scalar(dtype string) Type { return Type{Kind: Value, DType: dtype} }

// ListOf is the type of lists of anything.
func ListOf(item Type) Type { return Type{Kind: List, Item: &item} }

// StructOf is the type of objects with these fields.
func StructOf(fields Features) Type { return Type{Kind: Struct, Fields: fields} }

// IsList reports whether values are lists.
func (t Type) IsList() bool { return t.Kind == List || t.Kind == LargeList }

// IsText reports whether values are texts.
func (t Type) IsText() bool {
	return t.Kind == Value && (t.DType == "string" || t.DType == "large_string")
}

// Lookup finds a column by its name.
func (f Features) Lookup(name string) (Type, bool) {
	i := slices.IndexFunc(f, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return Type{}, false
	}
	return f[i].Type, true
}

// Columns are the names in order.
func (f Features) Columns() []string {
	names := make([]string, len(f))
	for i, c := range f {
		names[i] = c.Name
	}
	return names
}
