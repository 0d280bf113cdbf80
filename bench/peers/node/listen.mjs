export function listen(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', 2048, () => resolve(server.address())));
}
