/**
 * The pinned releases of TensorFlow: their wheels on PyPI, and of those the files that are needed, each with its SHA-256.
 *
 * `name`: the folder in the cache, which keeps the paths that files have in their wheels, below `root`. The CUDA libraries must
 * lie beside TensorFlow's as Python's site-packages has them: TensorFlow looks for them, and for ptxas, relative to itself.
 */

/** Built for the CPU alone. */
export const CPU_RELEASE = {
  name: 'tensorflow-cpu-2.21.0-linux-x64',
  title: 'TensorFlow 2.21.0',
  framework: 'libtensorflow_framework.so.2',
  cc: 'libtensorflow_cc.so.2',
  preload: [],
  root: 'tensorflow/',
  unpackedBytes: 850e6,
  wheels: [
    {
      package: 'tensorflow-cpu',
      version: '2.21.0',
      file: 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
      sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
      bytes: 274e6,
      files: {
        'libtensorflow_framework.so.2': 'f060b323b26ef80add21b9df9428de3aeaf2843d772c5bb098745f7abff3709b',
        'libtensorflow_cc.so.2': '6505a4b9657e62100c6bdacb683957a395cb047725042945aaa50e40a71e429e',
      },
    },
  ],
};

/**
 * Built for CUDA 12, with the libraries that its extra `and-cuda` names. `preload`: what is loaded by path before it, each
 * after those it needs; TensorFlow then finds them by name, whatever LD_LIBRARY_PATH says. Not in it: what is loaded on demand.
 */
export const CUDA_RELEASE = {
  name: 'tensorflow-cuda12-2.21.0-linux-x64',
  title: 'TensorFlow 2.21.0 for CUDA 12',
  framework: 'tensorflow/libtensorflow_framework.so.2',
  cc: 'tensorflow/libtensorflow_cc.so.2',
  preload: [
    'nvidia/cuda_runtime/lib/libcudart.so.12',
    'nvidia/nvjitlink/lib/libnvJitLink.so.12',
    'nvidia/cuda_nvrtc/lib/libnvrtc.so.12',
    'nvidia/cublas/lib/libcublasLt.so.12',
    'nvidia/cublas/lib/libcublas.so.12',
    'nvidia/cusparse/lib/libcusparse.so.12',
    'nvidia/cusolver/lib/libcusolver.so.11',
    'nvidia/cufft/lib/libcufft.so.11',
    'nvidia/curand/lib/libcurand.so.10',
    'nvidia/cudnn/lib/libcudnn.so.9',
    'nvidia/nccl/lib/libnccl.so.2',
    'nvidia/cuda_cupti/lib/libcupti.so.12',
  ],
  root: '',
  unpackedBytes: 5250e6,
  wheels: [
    {
      package: 'tensorflow',
      version: '2.21.0',
      file: 'tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
      sha256: '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124',
      bytes: 572440367,
      files: {
        'tensorflow/libtensorflow_framework.so.2': '98847c6f0448308159f6d3ff55e13a9e92978598c7fbb34cde63aadf35c6fe84',
        'tensorflow/libtensorflow_cc.so.2': '2889ecc99d7641620f41a4bea538f4dd4b626f75aa3e12623161ae939054191c',
      },
    },
    {
      package: 'nvidia-cuda-runtime-cu12',
      version: '12.9.79',
      file: 'nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      sha256: '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
      bytes: 3493179,
      files: {
        'nvidia/cuda_runtime/lib/libcudart.so.12': '256e6409e4f06f618e1fb53d4844a6b81cdded1013afa8ade40c22f99eb133b7',
      },
    },
    {
      package: 'nvidia-nvjitlink-cu12',
      version: '12.9.86',
      file: 'nvidia_nvjitlink_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      sha256: 'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
      bytes: 39748338,
      files: {
        'nvidia/nvjitlink/lib/libnvJitLink.so.12': '02d3acb5fe598dd20f0fca3cc03734ad164037a22747a01900561a42d0b8448f',
      },
    },
    {
      package: 'nvidia-cuda-nvrtc-cu12',
      version: '12.9.86',
      file: 'nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      sha256: '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
      bytes: 89568129,
      files: {
        'nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.9':
          '6507cf33450cfb22970c2c1e7aa8e7c0a33e39d864720277b05f61a92791e2e8',
        'nvidia/cuda_nvrtc/lib/libnvrtc.so.12': '7c67c6b51ea0e0279634cebd676ff7efda1674806444520c84430ad5c35fe625',
      },
    },
    {
      package: 'nvidia-cublas-cu12',
      version: '12.9.3.13',
      file: 'nvidia_cublas_cu12-12.9.3.13-py3-none-manylinux_2_27_x86_64.whl',
      sha256: 'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
      bytes: 581217458,
      files: {
        'nvidia/cublas/lib/libcublas.so.12': '9b6997d8ac06badb59b90fd08cb89b1f807576306f6b0d762f3e72000b69d260',
        'nvidia/cublas/lib/libcublasLt.so.12': 'fbbf5c66fcc42c4eb6e56a7cb40be3936edbf0d08e757761e95c84afb9606cb6',
      },
    },
    {
      package: 'nvidia-cusparse-cu12',
      version: '12.5.10.65',
      file: 'nvidia_cusparse_cu12-12.5.10.65-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      sha256: '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
      bytes: 366465088,
      files: {
        'nvidia/cusparse/lib/libcusparse.so.12': '6d85ab1acdabfe3b5a54aa76bc948c719bcd03e07eede3eb8122b083c1a6ecf7',
      },
    },
    {
      package: 'nvidia-cusolver-cu12',
      version: '11.7.5.82',
      file: 'nvidia_cusolver_cu12-11.7.5.82-py3-none-manylinux_2_27_x86_64.whl',
      sha256: '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
      bytes: 338117415,
      files: {
        'nvidia/cusolver/lib/libcusolver.so.11': '30a1fe2fe22dad7141afaa2878fb6e9d7360b016e164d2153e1f31a46f2a9833',
      },
    },
    {
      package: 'nvidia-cufft-cu12',
      version: '11.4.1.4',
      file: 'nvidia_cufft_cu12-11.4.1.4-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      sha256: 'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
      bytes: 200877592,
      files: {
        'nvidia/cufft/lib/libcufft.so.11': 'e1d65ebd08895f9d9883f848f3974f89e0130416252477b18835ba7f15d159bc',
      },
    },
    {
      package: 'nvidia-curand-cu12',
      version: '10.3.10.19',
      file: 'nvidia_curand_cu12-10.3.10.19-py3-none-manylinux_2_27_x86_64.whl',
      sha256: '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
      bytes: 68295626,
      files: {
        'nvidia/curand/lib/libcurand.so.10': 'ab8c07338fa663c018b16df5b3f3878c84aaae98bda930e9e8bad340427b0faa',
      },
    },
    {
      package: 'nvidia-cudnn-cu12',
      version: '9.28.0.42',
      file: 'nvidia_cudnn_cu12-9.28.0.42-py3-none-manylinux_2_27_x86_64.whl',
      sha256: '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375',
      bytes: 716538495,
      files: {
        'nvidia/cudnn/lib/libcudnn.so.9': '727cf38cefa39f745dee3caa207395163a86e8fafdb47e3af6d185fdd67858d4',
        'nvidia/cudnn/lib/libcudnn_adv.so.9': 'd7a4f6de7c83eb39506d424cf8f1a6f3715faeee2320f2cc03498c9dcc10283b',
        'nvidia/cudnn/lib/libcudnn_cnn.so.9': '5bccc296c64d21ef9326c70ccdcf01b149122dd242ec80a2d3bdc2a4389879ad',
        'nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9':
          '9a9bbe2c9d4be6c324760199f667fa84a2a9a2d66820b8ca55844b9da235e837',
        'nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9':
          '8b49b082768bda0ac9f2465c235331e727682f92139ad41f15276b81f20f0f96',
        'nvidia/cudnn/lib/libcudnn_engines_tensor_ir.so.9':
          '78aa90a0543dd7b097701708f28981657ad04b95d3cac387fed960765404985e',
        'nvidia/cudnn/lib/libcudnn_ext.so.9': '7614a9e626eeeacbcfc8aa6633700e3cd4321e18497447825172d2d21f0b0e6f',
        'nvidia/cudnn/lib/libcudnn_graph.so.9': 'd56ec4d0cc21836e0138e4e75dcf6a1e589687675e9d6da0d006936ef7169078',
        'nvidia/cudnn/lib/libcudnn_heuristic.so.9': 'ab31bec932bc0b37431dfed946ec4c373441e0d5a62ad477e6cd19fc805e7577',
        'nvidia/cudnn/lib/libcudnn_ops.so.9': 'fbc82ffd752ec10601b2001226dee311b7ddd034c93a30c3536f2bbd19361b0c',
      },
    },
    {
      package: 'nvidia-nccl-cu12',
      version: '2.32.3',
      file: 'nvidia_nccl_cu12-2.32.3-py3-none-manylinux_2_27_x86_64.whl',
      sha256: 'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c',
      bytes: 351526311,
      files: {
        'nvidia/nccl/lib/libnccl.so.2': 'a23d2e3e47ad7f8987ac73eb04a373d6d40cfbb3a7a5bf41a9e0e8434817559b',
      },
    },
    {
      package: 'nvidia-cuda-cupti-cu12',
      version: '12.9.79',
      file: 'nvidia_cuda_cupti_cu12-12.9.79-py3-none-manylinux_2_25_x86_64.whl',
      sha256: '096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f',
      bytes: 10814997,
      files: {
        'nvidia/cuda_cupti/lib/libcupti.so.12': '2fdab19dc3fccdd4b2f5eba137aabefc68e685f6497bb38eea649866c5672a2a',
      },
    },
    {
      package: 'nvidia-cuda-nvcc-cu12',
      version: '12.9.86',
      file: 'nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      sha256: '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
      bytes: 40546229,
      files: {
        'nvidia/cuda_nvcc/bin/ptxas': '983b0e9283855979f42cebfd80d43f9b6e786eb84f03f7570bf941c4d3a3c461',
        'nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc':
          '9e84b504f25d26ec775ef91f7122e68dac77fa1f776f1044128f5028356265d8',
      },
    },
  ],
};
