// Package tools holds the built-in tools, one file each, with what the model
// is told about it in a Markdown file beside it.
//
// Its one rule: a tool's constructor takes the narrowest thing that it needs,
// declared where it is used, so that a tool can be read and tested alone.
package tools

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

//go:embed text/*.md
var texts embed.FS

// spec returns the spec of the named tool. Its description is text/NAME.md.
func spec(name string, effect tool.Effect) tool.Spec {
	text, err := texts.ReadFile("text/" + name + ".md")
	if err != nil {
		panic(fmt.Sprintf("tool %s has no description: %v", name, err))
	}
	return tool.Spec{
		ToolSpec: llm.ToolSpec{Name: name, Description: strings.TrimSpace(string(text))},
		Effect:   effect,
	}
}

// impact judges a call by its arguments of type In. Arguments that do not
// decode are refused by the tool itself, so they have the plain effect.
func impact[In any](effect tool.Effect, judge func(In, *tool.Impact)) func(string) tool.Impact {
	return func(args string) tool.Impact {
		i := tool.Impact{Effect: effect}
		var in In
		if json.Unmarshal([]byte(args), &in) == nil {
			judge(in, &i)
		}
		return i
	}
}

// resolver is the part of a sandbox that says where a path leads.
type resolver interface {
	Resolve(path string) (abs string, inside bool)
}

// disk is a sandbox on this machine, whose files can be opened.
type disk interface {
	files
	Open(path string) (*os.File, error)
	MayWrite(path string) error
	MayOpen(abs string) error
}

// reading is the impact of looking at a path, which a person is asked about
// when it lies outside the workspace.
func reading[In any](sb resolver, path func(In) string) func(string) tool.Impact {
	return impact(tool.Reads, func(in In, i *tool.Impact) {
		abs, inside := sb.Resolve(path(in))
		if !inside {
			i.Outside = "it reads " + abs + ", outside the workspace"
		}
		i.Paths = touched(abs)
	})
}

// object is an Output whose text is one JSON object.
func object(v any, summary string) (tool.Output, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return tool.Output{}, fmt.Errorf("encode result: %w", err)
	}
	return tool.Output{Text: string(text), Summary: summary}, nil
}
