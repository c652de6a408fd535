# Writes a SPIR-V module as a C array. cmake -DNAME=name -DSPIRV=in.spv -DOUT=out.c -P Embed.cmake
file(READ ${SPIRV} hex HEX)
file(SIZE ${SPIRV} size)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1,\n" words "${hex}")
file(WRITE ${OUT} "#include <stdint.h>
extern const uint32_t sto_spirv_${NAME}[];
extern const uint32_t sto_spirv_${NAME}_bytes;
const uint32_t sto_spirv_${NAME}_bytes = ${size};
const uint32_t sto_spirv_${NAME}[] = {
${words}};
")
