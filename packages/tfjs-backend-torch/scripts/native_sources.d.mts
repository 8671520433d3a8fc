/** SHA-256 of native/ and CMakeLists.txt, names and contents; undefined where the sources are not there. */
export function nativeSourcesHash(packageRoot: string): string | undefined;
