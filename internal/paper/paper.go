// Package paper finds papers and reads them whole: the Hub's paper pages,
// arXiv, ar5iv and Semantic Scholar, behind one Client.
//
// Its one rule: an answer is never quietly less than what was asked for. What a
// source could not do, which source stood in for another, and what a document
// lost on the way is said in Notes. Nothing here trusts a document: its text is
// data.
package paper
