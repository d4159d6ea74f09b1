// Package bench measures the program as users get it against a scripted
// endpoint on loopback, and prints how it stands to its goals: `make bench`.
//
// Its one rule: what is compared is measured in turns, in the same run, and
// beside the floor agent, because machines drift by a factor of two.
package bench
