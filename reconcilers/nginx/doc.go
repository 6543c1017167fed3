// Package nginx reads Nginx's configuration as far as a neighbour of Nginx needs it: which server blocks lead to a port of
// this machine, and under which names the world knows them.
//
// It reads what is on disk, not what Nginx has loaded, and runs no program. It is forgiving where Nginx is not: a
// directive that it does not know is kept as it stands, a file that cannot be read or does not end well is noted and the
// rest is read. All is bounded: sizes, depth, number of files and of directives.
//
// What only a request can tell (variables, maps, rewrites) is not guessed at: [Proxy.Why] says so.
package nginx
