// Package lazyregexp has regular expressions that are compiled when they are
// first used.
//
// The program has 200 of them and a run uses a few: compiled at the start they
// took 3 ms and 3 MB. Every one of a package is made by New with a
// constant, which the compiler lays down as data; a test compiles them all.
package lazyregexp

import (
	"regexp"
	"sync"
)

// A Regexp is a regexp.Regexp to come. Its methods are those of regexp.Regexp.
type Regexp struct {
	expr     string
	once     sync.Once
	compiled *regexp.Regexp
}

// New takes an expression that must compile. It stays a plain literal, so that
// a variable of a package needs no code at the start.
func New(expr string) *Regexp { return &Regexp{expr: expr} }

// Regexp compiles the expression the first time.
func (r *Regexp) Regexp() *regexp.Regexp {
	r.once.Do(func() { r.compiled = regexp.MustCompile(r.expr) })
	return r.compiled
}

// String is the expression.
func (r *Regexp) String() string { return r.expr }

// MatchString is that of regexp.Regexp.
func (r *Regexp) MatchString(s string) bool { return r.Regexp().MatchString(s) }

// FindString is that of regexp.Regexp.
func (r *Regexp) FindString(s string) string { return r.Regexp().FindString(s) }

// FindStringIndex is that of regexp.Regexp.
func (r *Regexp) FindStringIndex(s string) []int { return r.Regexp().FindStringIndex(s) }

// FindStringSubmatch is that of regexp.Regexp.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.Regexp().FindStringSubmatch(s) }

// FindSubmatch is that of regexp.Regexp.
func (r *Regexp) FindSubmatch(b []byte) [][]byte { return r.Regexp().FindSubmatch(b) }

// FindAllSubmatch is that of regexp.Regexp.
func (r *Regexp) FindAllSubmatch(b []byte, n int) [][][]byte { return r.Regexp().FindAllSubmatch(b, n) }

// Match is that of regexp.Regexp.
func (r *Regexp) Match(b []byte) bool { return r.Regexp().Match(b) }

// Split is that of regexp.Regexp.
func (r *Regexp) Split(s string, n int) []string { return r.Regexp().Split(s, n) }

// Find is that of regexp.Regexp.
func (r *Regexp) Find(b []byte) []byte { return r.Regexp().Find(b) }

// FindStringSubmatchIndex is that of regexp.Regexp.
func (r *Regexp) FindStringSubmatchIndex(s string) []int {
	return r.Regexp().FindStringSubmatchIndex(s)
}

// FindAllStringIndex is that of regexp.Regexp.
func (r *Regexp) FindAllStringIndex(s string, n int) [][]int {
	return r.Regexp().FindAllStringIndex(s, n)
}

// FindAllStringSubmatch is that of regexp.Regexp.
func (r *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.Regexp().FindAllStringSubmatch(s, n)
}

// ReplaceAllString is that of regexp.Regexp.
func (r *Regexp) ReplaceAllString(s, with string) string { return r.Regexp().ReplaceAllString(s, with) }

// FindAllString is that of regexp.Regexp.
func (r *Regexp) FindAllString(s string, n int) []string { return r.Regexp().FindAllString(s, n) }

// FindAllStringSubmatchIndex is that of regexp.Regexp.
func (r *Regexp) FindAllStringSubmatchIndex(s string, n int) [][]int {
	return r.Regexp().FindAllStringSubmatchIndex(s, n)
}

// ReplaceAllStringFunc is that of regexp.Regexp.
func (r *Regexp) ReplaceAllStringFunc(s string, with func(string) string) string {
	return r.Regexp().ReplaceAllStringFunc(s, with)
}
