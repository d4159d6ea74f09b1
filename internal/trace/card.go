package trace

import (
	_ "embed"
	"strings"
)

//go:embed card.md
var cardText string

// Card is what the README of a dataset of traces says when it is made.
func Card(name string) string { return strings.ReplaceAll(cardText, "{{name}}", name) }
